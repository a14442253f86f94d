"""``zsr vanished``: replicas whose volumes are gone are listed, and destroyed one by one on a person's order."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.command_line import Zsr
from tests.support.pools import Pools
from tests.support.verbs_env import NAME, VerbsEnv

GONE = "subvol-100-disk-1"


@pytest.fixture
def site(pools: Pools, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> VerbsEnv:
    """A guest with two volumes that were replicated; the source's second one is gone."""
    found = VerbsEnv(pools, Zsr.on_alpha(tmp_path, capsys, monkeypatch))
    found.zfs("create", f"{found.source}/{GONE}")
    found.zsr.well("run", "--id", "100-0")
    found.zfs("destroy", "-r", f"{found.source}/{GONE}")
    return found


def test_a_replica_whose_volume_is_gone_is_listed_and_no_other(site: VerbsEnv) -> None:
    header, row = site.zsr.well("vanished", "list").rows

    assert header[:3] == ["Job", "Node", "Dataset"]
    assert row[:3] == ["100-0", "beta", f"{site.target}/{GONE}"]
    [found] = site.zsr.well("vanished", "list", "--id", "100-0", "--format", "json").json
    assert (found["dataset"], found["writable"], len(found["snapshots"])) == (f"{site.target}/{GONE}", False, 1)


def test_it_is_destroyed_on_order_and_the_guests_other_replica_stays(site: VerbsEnv) -> None:
    site.zsr.well("vanished", "destroy", "100-0", f"{site.target}/{GONE}", "--yes")

    assert f"{site.target}/{GONE}" not in site.names(site.target)
    assert f"{site.target}/{NAME}" in site.names(site.target)
    assert len(site.zsr.well("vanished", "list").rows) == 1


def sent(site: VerbsEnv) -> set[str]:
    """The GUIDs of what the job is known to have brought to its target."""
    [state] = site.zsr.cluster_path.parent.rglob("state.db")
    with closing(sqlite3.connect(state)) as db:
        return {guid for (guid,) in db.execute("SELECT guid FROM sent_snapshots")}


@pytest.mark.parametrize("mine", [False, True], ids=["destroyed", "kept aside"])
def test_what_was_destroyed_is_forgotten_and_nothing_else(site: VerbsEnv, mine: bool) -> None:
    site.change()
    site.zsr.well("run", "--id", "100-0")
    gone = set(site.zfs("get", "-Hp", "-r", "-o", "value", "guid", f"{site.target}/{GONE}").split()) & sent(site)
    assert gone
    if mine:
        site.zfs("snapshot", f"{site.target}/{GONE}@somebodys")
    before = sent(site)
    site.zsr.well("vanished", "destroy", "100-0", f"{site.target}/{GONE}", "--yes")

    assert sent(site) == (before if mine else before - gone)


def test_nothing_else_is_destroyed(site: VerbsEnv) -> None:
    site.zfs("create", f"{site.target}/mine")
    before = site.names(site.target)

    for name in (NAME, "mine", "nothing", f"{GONE}@x", "zsr-diverged"):
        assert site.zsr("vanished", "destroy", "100-0", f"{site.target}/{name}", "--yes").exit == 2

    assert site.names(site.target) == before


def test_without_an_answer_nothing_is_destroyed(site: VerbsEnv) -> None:
    said = site.zsr("vanished", "destroy", "100-0", f"{site.target}/{GONE}")

    assert said.exit == 2
    assert "only copy" in said.err
    assert f"{site.target}/{GONE}" in site.names(site.target)


def test_one_that_somebody_lives_on_is_refused(site: VerbsEnv) -> None:
    site.zfs("set", "readonly=off", f"{site.target}/{GONE}")

    said = site.zsr("vanished", "destroy", "100-0", f"{site.target}/{GONE}", "--yes")

    assert said.exit == 1
    assert "writable" in said.err
    assert f"{site.target}/{GONE}" in site.names(site.target)


def test_one_with_somebodys_snapshot_is_kept_aside(site: VerbsEnv) -> None:
    site.zfs("snapshot", f"{site.target}/{GONE}@mine")

    site.zsr.well("vanished", "destroy", "100-0", f"{site.target}/{GONE}", "--yes")

    [kept] = [name for name in site.names(site.target) if "/zsr-diverged/" in name]
    assert "mine" in site.snapshots(kept)


def test_a_volume_that_came_back_is_not_vanished(site: VerbsEnv) -> None:
    site.zfs("create", f"{site.source}/{GONE}")

    assert len(site.zsr.well("vanished", "list").rows) == 1
    assert site.zsr("vanished", "destroy", "100-0", f"{site.target}/{GONE}", "--yes").exit == 2
