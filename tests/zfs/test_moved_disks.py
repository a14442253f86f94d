"""A disk that moves to another guest or storage of its node goes on with the replica that it had, on real ZFS."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from demo.engine import run_patiently
from tests.support.command_line import Zsr
from tests.support.pools import Pools
from tests.support.verbs_env import NAME, VerbsEnv

OTHER = "subvol-200-disk-0"
MOVED = "subvol-200-disk-1"
MIB = 1 << 20


class Site(VerbsEnv):
    """Two guests with a disk each, both replicated to beta with ten restore points; a second storage of both pools."""

    def __init__(self, pools: Pools, zsr: Zsr) -> None:
        super().__init__(pools, zsr)
        for path in self.paths:
            self.zfs("create", f"{path}/more")
        self.zfs("create", f"{self.source}/{OTHER}")
        self._fill(f"{self.source}/{OTHER}", MIB, seed=77)
        text = zsr.cluster_path.read_text().replace('target = "beta"\n', 'target = "beta"\nkeep = 10\n')
        zsr.cluster_path.write_text(
            f'{text}[storages.more]\npath = "{self.source}/more"\npaths = {{ beta = "{self.target}/more" }}\n'
            '[guests.200]\nname = "db"\nnode = "alpha"\n[jobs.200-0]\ntarget = "beta"\nkeep = 10\n'
        )
        for guest, name in ((100, NAME), (200, OTHER)):
            for _ in range(2):
                self.change_in(name)
                self.run(guest)

    def run(self, guest: int) -> int:
        """Run the guest's job; the bytes that were sent."""
        job = f"{guest}-0"
        self.zsr.well("run", "--id", job)
        runs = self.zsr.well("log", job, "--runs", "--format", "json").json
        return int(max(runs, key=lambda run: run["run"])["sent_bytes"])

    def move(self, old: str, new: str) -> None:
        """Rename a disk on the source, as a node does that gives it to another guest."""
        if self.property(f"{self.source}/{old}", "mounted").startswith("yes"):
            self.zfs("unmount", f"{self.source}/{old}")
        run_patiently("zfs", "rename", f"{self.source}/{old}", f"{self.source}/{new}")

    def guid(self, name: str) -> str:
        return self.zfs("get", "-Hpo", "value", "guid", f"{self.target}/{name}").strip()

    def points(self, name: str) -> set[str]:
        """The snapshots of a replica, by GUID."""
        rows = self.zfs("get", "-Hp", "-r", "-o", "name,value", "guid", f"{self.target}/{name}").splitlines()
        return {row.split("\t")[1] for row in rows if "@" in row}

    def on_source(self, name: str) -> list[str]:
        """The jobs whose sets and bookmarks a volume of the source has."""
        rows = self.zfs("list", "-H", "-t", "all", "-o", "name", "-r", f"{self.source}/{name}").split()
        return sorted({row.split("__replicate_")[1].split("_")[0] for row in rows if "__replicate_" in row})

    def marks(self, name: str) -> str:
        return self.property(f"{self.target}/{name}", "zsr:job").split()[0]

    def planned(self, guest: int) -> dict[str, object]:
        """The one volume of a guest's plan that is moved, and what its notes say."""
        plan = self.zsr.well("plan", f"{guest}-0", "--format", "json").json
        [volume] = [each for each in plan["volumes"] if each["preparations"]]
        return {**volume, "notes": " ".join(plan["notes"]), "destructions": plan["destructions"]}

    def doomed(self, guest: int) -> list[str]:
        """What the next run of a guest destroys."""
        found = self.zsr.well("plan", f"{guest}-0", "--format", "json").json["destructions"]
        return [each["what"] for each in found if each["permitted"]]


@pytest.fixture
def site(pools: Pools, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Site:
    return Site(pools, Zsr.on_alpha(tmp_path, capsys, monkeypatch))


def test_a_disk_that_is_given_to_another_guest_goes_on_with_its_replica_and_restore_points(site: Site) -> None:
    replica, points = site.guid(NAME), site.points(NAME)
    site.zfs("create", f"{site.source}/subvol-100-disk-9")
    site.move(NAME, MOVED)
    site.run(100)
    assert len(site.zsr.well("vanished", "list", "--format", "json").json) == 1
    site.change_in(MOVED)

    planned = site.planned(200)
    assert planned["action"] == "incremental"
    assert "of job 100-0" in str(planned["notes"])
    assert planned["preparations"] == [
        {"step": "rename", "dataset": f"{site.target}/{NAME}", "to": f"{site.target}/{MOVED}"}
    ]
    assert site.run(200) < MIB // 2

    assert (site.guid(MOVED), site.marks(MOVED)) == (replica, "200-0")
    assert points < site.points(MOVED)
    assert site.on_source(MOVED) == ["200-0"]
    assert site.zsr.well("vanished", "list", "--format", "json").json == []
    assert json.loads(site.zsr.well("status", "--format", "json").out)[0]["vanished"] == []
    site.run(100)
    assert points < site.points(MOVED)


def test_the_old_jobs_restore_points_age_with_those_of_the_new_one(site: Site) -> None:
    points = site.points(NAME)
    site.zfs("create", f"{site.source}/subvol-100-disk-9")
    site.move(NAME, MOVED)
    site.zsr.well("update", "200-0", "--keep", "3", "--grace", "0")
    site.zsr.well("update", "100-0", "--keep", "3")
    time.sleep(4)  # sets that were taken within one second have names of the future, and go first
    for left in (2, 1, 0):
        site.change_in(MOVED)
        doomed = site.doomed(200)
        site.run(200)
        time.sleep(1)
        assert len(points & site.points(MOVED)) == left
        assert len([each for each in doomed if f"{MOVED}@__replicate_100-0_" in each and site.target in each]) == (
            left < 2
        )
    assert len(site.points(MOVED)) == 3


def test_what_the_old_jobs_keep_wanted_waits_for_the_grace_of_the_new_one(site: Site) -> None:
    points = site.points(NAME)
    site.zfs("create", f"{site.source}/subvol-100-disk-9")
    site.move(NAME, MOVED)
    site.zsr.well("update", "200-0", "--keep", "1", "--grace", "7d")
    for _ in range(2):
        site.change_in(MOVED)
        site.run(200)
        time.sleep(1)
    assert points <= site.points(MOVED)


def test_a_disk_that_is_moved_to_another_storage_of_its_pool_goes_on_with_its_replica(site: Site) -> None:
    replica, points = site.guid(NAME), site.points(NAME)
    site.move(NAME, f"more/{NAME}")
    site.change_in(f"more/{NAME}")

    assert site.planned(100)["action"] == "incremental"
    assert site.run(100) < MIB // 2
    assert site.guid(f"more/{NAME}") == replica
    assert points < site.points(f"more/{NAME}")
    assert f"{site.target}/{NAME}" not in site.names(site.target)


def test_a_disk_goes_on_in_a_storage_that_its_new_guest_has_alone(site: Site) -> None:
    replica = site.guid(NAME)
    site.zfs("create", f"{site.source}/subvol-100-disk-9")
    text = site.zsr.cluster_path.read_text().replace('name = "db"\n', 'name = "db"\nstorages = ["more"]\n')
    site.zsr.cluster_path.write_text(text)
    site.move(NAME, f"more/{MOVED}")

    assert site.run(200) < MIB // 2
    assert site.guid(f"more/{MOVED}") == replica


def test_disks_that_two_guests_swapped_keep_their_replicas(site: Site) -> None:
    first, second = site.guid(NAME), site.guid(OTHER)
    points = site.points(NAME) | site.points(OTHER)
    for old, new in ((NAME, "x"), (OTHER, NAME), ("x", OTHER)):
        site.move(old, new)
    sent = 0
    for guest in (100, 200):
        sent += site.run(guest)

    assert sent < MIB // 2
    assert (site.guid(NAME), site.guid(OTHER)) == (second, first)
    assert points < site.points(NAME) | site.points(OTHER)
    assert [site.marks(NAME), site.marks(OTHER)] == ["100-0", "200-0"]
    assert "zsr-diverged/" not in " ".join(site.names(site.target))
    assert "replica-lost" not in site.zsr.well("log", "100-0").out


def test_a_disk_that_moves_there_and_back_loses_no_restore_point(site: Site) -> None:
    replica, points = site.guid(NAME), site.points(NAME)
    site.zfs("create", f"{site.source}/subvol-100-disk-9")
    for old, new, guest in ((NAME, MOVED, 200), (MOVED, NAME, 100)):
        site.move(old, new)
        site.change_in(new)
        assert site.run(guest) < MIB // 2

    assert site.guid(NAME) == replica
    assert points < site.points(NAME)
    assert site.on_source(NAME) == ["100-0"]


def test_a_copy_by_send_and_receive_is_sent_in_full_and_the_replica_stays(site: Site) -> None:
    replica, points = site.guid(NAME), site.points(NAME)
    [snapshot] = site.snapshots(f"{site.source}/{NAME}")
    site.pipe(f"zfs send '{site.source}/{NAME}@{snapshot}' | zfs receive -u '{site.source}/{MOVED}'")
    assert site.run(200) > MIB // 2

    assert (site.guid(NAME), site.marks(NAME)) == (replica, "100-0")
    assert site.points(NAME) == points
    site.change()
    assert site.run(100) < MIB // 2
    assert "which" in site.zsr.well("log", "200-0").out


def test_a_promoted_clone_is_sent_in_full(site: Site) -> None:
    replica = site.guid(NAME)
    [snapshot] = site.snapshots(f"{site.source}/{NAME}")
    site.zfs("clone", "-o", "mountpoint=none", f"{site.source}/{NAME}@{snapshot}", f"{site.source}/{MOVED}")
    site.zfs("promote", f"{site.source}/{MOVED}")
    site.run(200)

    assert site.guid(NAME) == replica
    assert site.marks(NAME) == "100-0"


@pytest.mark.parametrize("how", ["writable", "marks", "owner"])
def test_a_replica_that_is_not_free_is_left_alone(site: Site, how: str) -> None:
    there = f"{site.target}/{NAME}"
    site.zfs("create", f"{site.source}/subvol-100-disk-9")
    site.move(NAME, MOVED)
    match how:
        case "writable":
            site.zfs("set", "readonly=off", there)
        case "marks":
            site.zfs("set", "zsr:source=omega", there)
        case "owner":
            text, web = site.zsr.cluster_path.read_text(), 'name = "web"\nnode = "{}"\n[jobs.100-0]\ntarget = "{}"'
            assert web.format("alpha", "beta") in text
            moved = text.replace(web.format("alpha", "beta"), web.format("beta", "alpha"))
            site.zsr.cluster_path.write_text(moved)
    properties = ("get", "-Hp", "-r", "guid,readonly,zsr:job,zsr:source", there)
    before = site.zfs(*properties)
    site.run(200)

    assert site.zfs(*properties) == before
