"""``zsr restore-points open`` and ``close``, as typed, between two pools of this machine."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from demo.engine import run_patiently
from tests.support.command_line import Said, Zsr
from tests.support.pools import Pools
from tests.support.verbs_env import NAME, VerbsEnv


@pytest.fixture
def site(pools: Pools, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> VerbsEnv:
    monkeypatch.setattr("replicator.replication.opened.MOUNTED_BELOW", str(tmp_path / "opened"))
    env = VerbsEnv(pools, Zsr.on_alpha(tmp_path, capsys, monkeypatch))
    env.zsr.well("run", "--id", "100-0")
    return env


def opened(site: VerbsEnv) -> list[str]:
    """The clones on the target."""
    return [name for name in site.names(site.target) if name.endswith("-opened")]


def closed(site: VerbsEnv) -> Said:
    """Close what is open; zfs-fuse lets go of an unmounted filesystem only a moment later."""
    deadline = time.monotonic() + 20
    while "is busy" in (said := site.zsr("restore-points", "close", "100-0")).err and time.monotonic() < deadline:
        time.sleep(0.1)
    return said


def test_an_open_one_is_a_read_only_clone_that_stops_no_run_and_is_listed_until_it_is_closed(site: VerbsEnv) -> None:
    [first] = site.snapshots(f"{site.target}/{NAME}")
    said = site.zsr.well("restore-points", "open", "100-0")
    [clone] = opened(site)
    assert "Open on beta, read-only" in said.out
    assert site.property(clone, "origin").split("\t")[0] == f"{site.target}/{NAME}@{first}"
    assert site.zsr.well("restore-points", "open", "100-0").out == said.out

    for _ in range(2):
        site.change()
        site.zsr.well("run", "--id", "100-0")
    assert opened(site) == [clone]
    assert first in site.snapshots(f"{site.target}/{NAME}")
    assert "Open on beta" in site.zsr.well("restore-points", "100-0").out
    [of_first] = [each for each in json.loads(site.zsr.well("restore-points", "100-0", "--format", "json").out)
                  if each["snapshot"] == first]  # fmt: skip
    assert len(of_first["opened"]) == 1
    assert site.zsr.well("diverged", "list", "--format", "json").out.strip() == "[]"

    assert closed(site).out == f"closed {clone} on beta\n"
    assert opened(site) == []
    assert "Nothing of job 100-0 is open" in site.zsr.well("restore-points", "close", "100-0").out
    site.change()
    site.zsr.well("run", "--id", "100-0")


def test_what_was_unmounted_meanwhile_is_mounted_again_and_none_of_its_programs_can_be_run(site: VerbsEnv) -> None:
    site.zsr.well("restore-points", "open", "100-0")
    [clone] = opened(site)
    run_patiently("zfs", "unmount", clone)
    site.zsr.well("restore-points", "open", "100-0")
    assert site.property(clone, "mounted").startswith("yes")
    assert {site.property(clone, key).split("\t")[0] for key in ("exec", "setuid", "devices")} == {"off"}


def test_one_with_a_snapshot_stays(site: VerbsEnv) -> None:
    site.zsr.well("restore-points", "open", "100-0", "--volume", f"data:{NAME}")
    [clone] = opened(site)
    site.zfs("snapshot", f"{clone}@somebodys")
    said = site.zsr("restore-points", "close", "100-0")
    assert said.exit == 1
    assert "has a new snapshot (somebodys)" in said.err
    assert opened(site) == [clone]


def test_what_does_not_exist_is_refused(site: VerbsEnv) -> None:
    said = site.zsr("restore-points", "open", "100-0", "--at", "2001-01-01")
    assert said.exit == 2
    assert "has no restore point" in said.err
    assert site.zsr("restore-points", "open", "100-0", "--volume", "data:other").exit == 2
    assert site.zsr("restore-points", "open", "100-0", "--at", "soon").exit == 2


def test_the_newest_is_opened_also_when_the_clock_is_behind_its_name(
    site: VerbsEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    [newest] = json.loads(site.zsr.well("restore-points", "100-0", "--format", "json").out)
    monkeypatch.setattr("time.time", lambda: newest["time"] - 1.0)
    assert "Open on beta" in site.zsr.well("restore-points", "open", "100-0").out
