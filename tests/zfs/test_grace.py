"""The end of a grace, for real: a replica goes when its volume is gone, and only then."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from demo.engine import run_patiently
from tests.support.command_line import Zsr
from tests.support.pools import Pools
from tests.support.verbs_env import NAME, VerbsEnv

GONE = "subvol-100-disk-1"
DAY = 86400


class Site(VerbsEnv):
    """A guest with two volumes that were replicated."""

    def __init__(self, pools: Pools, zsr: Zsr) -> None:
        super().__init__(pools, zsr)
        self.gone = f"{self.target}/{GONE}"
        self.zfs("create", f"{self.source}/{GONE}")
        self.run()

    def run(self) -> None:
        self.change()
        self.zsr.well("run", "--id", "100-0")

    def grace(self, value: str) -> None:
        self.zsr.well("update", "100-0", "--grace", value)

    def days_pass(self, days: float) -> None:
        """Let it be days ago that time was counted last."""
        [state] = self.zsr.cluster_path.parent.rglob("state.db")
        with closing(sqlite3.connect(state)) as db:
            db.execute("UPDATE vanished_replicas SET since = since - ?1, seen = seen - ?1", (days * DAY,))
            db.commit()

    def destroy_volume(self) -> None:
        self.zfs("destroy", "-r", f"{self.source}/{GONE}")

    def rename(self, old: str, new: str) -> None:
        """Rename a volume of the source."""
        if self.property(f"{self.source}/{old}", "mounted").startswith("yes"):
            self.zfs("unmount", f"{self.source}/{old}")
        run_patiently("zfs", "rename", f"{self.source}/{old}", f"{self.source}/{new}")

    def is_there(self) -> bool:
        return self.gone in self.names(self.target)

    def guids(self, path: str) -> set[str]:
        """All datasets and snapshots from a path on, by GUID."""
        return set(self.zfs("get", "-Hp", "-r", "-o", "value", "guid", path).split())

    def listed(self) -> dict[str, object]:
        """The one vanished replica, as it is listed."""
        [found] = self.zsr.well("vanished", "list", "--format", "json").json
        return dict(found)

    def planned(self) -> dict[str, object]:
        """What a run would do with the replica."""
        found = self.zsr.well("plan", "100-0", "--format", "json").json["destructions"]
        [one] = [each for each in found if each["what"] == self.gone]
        return dict(one)


@pytest.fixture
def site(pools: Pools, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Site:
    return Site(pools, Zsr.on_alpha(tmp_path, capsys, monkeypatch))


def test_a_job_that_was_there_before_keeps_the_replica_for_ever(site: Site) -> None:
    site.destroy_volume()
    for _ in range(9):
        site.run()
        site.days_pass(1)

    assert site.is_there()
    assert (site.listed()["until"], site.listed()["kept"]) == (None, None)


def test_without_a_grace_the_next_proof_destroys_the_replica_and_no_other(site: Site) -> None:
    site.grace("0")
    site.destroy_volume()
    assert (site.planned()["permitted"], site.planned()["when"]) == (True, "after the proof")
    site.run()

    assert not site.is_there()
    assert f"{site.target}/{NAME}" in site.names(site.target)
    assert site.zsr.well("vanished", "list", "--format", "json").json == []


def test_a_grace_ends_a_day_after_it_was_announced(site: Site) -> None:
    site.grace("3d")
    site.destroy_volume()
    for _ in range(3):
        site.run()
        assert site.planned()["until"] is not None
        site.days_pass(1)
    assert site.is_there()
    site.run()

    assert not site.is_there()


def test_a_run_that_has_nothing_to_send_ends_it_too(site: Site) -> None:
    site.grace("0")
    site.destroy_volume()
    site.zsr.well("run", "--id", "100-0")
    site.zsr.well("run", "--id", "100-0")

    assert not site.is_there()


def test_a_volume_that_comes_back_keeps_its_replica(site: Site) -> None:
    site.rename(GONE, "away")
    site.grace("3d")
    for _ in range(2):
        site.run()
        site.days_pass(1)
    site.rename("away", GONE)
    site.run()

    assert site.is_there()
    assert site.zsr.well("vanished", "list", "--format", "json").json == []


@pytest.mark.parametrize("name", ["subvol-200-disk-0", "elsewhere"])
def test_a_volume_that_goes_on_under_another_name_of_the_node_keeps_its_replica(site: Site, name: str) -> None:
    site.rename(GONE, name)
    site.grace("0")
    for _ in range(2):
        site.run()

    assert site.is_there()
    assert name in str(site.listed()["kept"])
    assert name in str(site.planned()["why"])


def test_a_replica_in_use_stays_and_goes_when_it_is_not_any_more(site: Site) -> None:
    site.grace("0")
    site.zfs("set", "readonly=off", site.gone)
    site.destroy_volume()
    site.run()
    assert site.is_there()
    assert "writable" in str(site.listed()["kept"])

    site.zfs("set", "readonly=on", site.gone)
    site.days_pass(1)
    site.run()
    assert not site.is_there()


def test_a_replica_with_a_snapshot_created_on_it_is_kept_aside(site: Site) -> None:
    site.grace("0")
    site.destroy_volume()
    site.zfs("snapshot", f"{site.gone}@mine")
    site.run()

    [kept] = [name for name in site.names(site.target) if "/zsr-diverged/" in name]
    assert "mine" in site.snapshots(kept)
    assert not site.is_there()


def test_a_volume_that_is_left_out_is_cleaned_when_its_replica_is_gone(site: Site) -> None:
    site.grace("2d")
    site.zfs("snapshot", f"{site.source}/{GONE}@mine")
    cluster = site.zsr.cluster_path.read_text()
    left_out = f'node = "alpha"\nvolumes = [{{ volume = "data:{GONE}", replicate = false }}]'
    site.zsr.cluster_path.write_text(cluster.replace('node = "alpha"', left_out))
    for _ in range(2):
        site.run()
        assert len(site.snapshots(f"{site.source}/{GONE}")) == 2, "its replica is there, and may go on"
        site.days_pass(1)
    site.run()

    assert not site.is_there()
    assert site.snapshots(f"{site.source}/{GONE}") == ["mine"]


@pytest.mark.parametrize("ends", [False, True])
def test_a_volume_on_a_storage_that_the_guest_has_no_more_is_one_that_vanished(site: Site, *, ends: bool) -> None:
    """Else its replica, and the job's snapshot on the source, would stay for ever without a word."""
    here, there = (f"{path.rpartition('/')[0]}/more" for path in site.paths)
    for path in (here, there, f"{here}/subvol-100-disk-7"):
        site.zfs("create", path)
    cluster = f'{site.zsr.cluster_path.read_text()}[storages.more]\npath = "{here}"\npaths = {{ beta = "{there}" }}\n'
    site.zsr.cluster_path.write_text(cluster)
    site.grace("2d")
    site.run()
    cluster = site.zsr.cluster_path.read_text()
    site.zsr.cluster_path.write_text(cluster.replace('name = "web"\n', 'name = "web"\nstorages = ["data"]\n'))
    for _ in range(2):
        site.run()
        assert site.listed()["dataset"] == f"{there}/subvol-100-disk-7"
        site.days_pass(1)
    if not ends:
        site.zsr.cluster_path.write_text(cluster)
    site.run()

    assert (f"{there}/subvol-100-disk-7" in site.names(there)) is not ends
    assert (site.snapshots(f"{here}/subvol-100-disk-7") != []) is not ends
    assert site.zsr.well("vanished", "list", "--format", "json").json == []


def test_a_clone_of_it_keeps_it_and_the_run_succeeds(site: Site) -> None:
    site.grace("0")
    [snapshot] = site.snapshots(site.gone)
    site.zfs("clone", "-o", "mountpoint=none", f"{site.gone}@{snapshot}", f"{site.target}/restored")
    site.destroy_volume()
    site.run()

    assert site.is_there()
    assert site.listed()["kept"]


def test_the_lost_memory_of_a_node_starts_the_grace_again(site: Site) -> None:
    site.grace("2d")
    site.destroy_volume()
    site.run()
    site.days_pass(1)
    [state] = site.zsr.cluster_path.parent.rglob("state.db")
    for each in state.parent.glob("state.db*"):
        each.unlink()
    for _ in range(2):
        site.run()

    assert site.is_there()


def test_a_guest_of_which_all_volumes_were_made_again_is_reported_and_keeps_its_old_replicas(site: Site) -> None:
    before = {guid for name in (NAME, GONE) for guid in site.guids(f"{site.target}/{name}")}
    for name in (NAME, GONE):
        site.zfs("destroy", "-r", f"{site.source}/{name}")
    site.zfs("create", f"{site.source}/{NAME}")
    site.run()

    assert before <= site.guids(site.target)
    assert "all were replaced" in site.zsr.well("log", "100-0").out
