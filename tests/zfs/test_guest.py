"""``zsr guest``, as typed, between two pools of this machine: where replicas are, and what would be lost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.command_line import Zsr
from tests.support.pools import Pools
from tests.support.verbs_env import NAME, VerbsEnv


@pytest.fixture
def site(pools: Pools, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> VerbsEnv:
    env = VerbsEnv(pools, Zsr.on_alpha(tmp_path, capsys, monkeypatch))
    env.zsr.well("run", "--id", "100-0")
    return env


def replica(site: VerbsEnv) -> dict[str, object]:
    """What the only target holds, as JSON."""
    said = json.loads(site.zsr.well("guest", "replicas", "100", "--format", "json").out)
    [only] = said["replicas"]
    return dict(only)


def test_the_newest_set_that_is_whole_on_a_node_is_named(site: VerbsEnv) -> None:
    """zfs-fuse does not count what was written since: tests/unit has the bytes."""
    [name] = site.snapshots(f"{site.target}/{NAME}")
    found = replica(site)
    assert name == f"__replicate_100-0_{found['as_of']}__"
    assert found["volumes"] == {f"data:{NAME}": found["as_of"]}
    out = site.zsr.well("guest", "replicas", "100").out
    assert out.splitlines()[0] == "Guest 100 (web) is on alpha, epoch 1."
    assert "1 of 1" in out
    [row] = [line for line in site.zsr.well("guest", "list").out.splitlines() if line.startswith("100")]
    assert row.split()[:5] == ["100", "web", "alpha", "100-0", "beta"]


def test_a_volume_without_a_replica_is_named_and_no_set_is_whole(site: VerbsEnv) -> None:
    site.zfs("create", f"{site.source}/subvol-100-disk-9")
    out = site.zsr.well("guest", "replicas", "100").out
    assert "1 of 2" in out
    assert "beta has no set of data:subvol-100-disk-9." in out
    assert "all" in out


def test_the_owner_may_be_gone(site: VerbsEnv) -> None:
    """Its storage cannot be listed: the replicas speak for themselves, and the bytes are not known."""
    dead = '[nodes.alpha]\naddress = "127.0.0.1"\nport = 1'
    cluster = site.zsr.cluster_path.read_text()
    site.zsr.cluster_path.write_text(cluster.replace('[nodes.alpha]\naddress = "local"', dead))
    site.zsr.settings_path.write_text(site.zsr.settings_path.read_text().replace('node = "alpha"', 'node = "beta"'))
    said = site.zsr("guest", "replicas", "100")
    assert said.exit == 1
    assert "alpha" in said.err
    assert "1 of 1" in said.out
    assert ", ?" in said.out


def test_a_guest_that_there_is_not_is_refused_with_those_that_are_known(site: VerbsEnv) -> None:
    said = site.zsr("guest", "replicas", "7")
    assert said.exit == 2
    assert "There is no guest 7." in said.err
    assert "Known guests: 100." in said.err
