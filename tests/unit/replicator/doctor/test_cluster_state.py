"""Faults that the cluster file itself has: names, storages, promises, copies, coverage, and copies of it elsewhere."""

from __future__ import annotations

from dataclasses import replace

import pytest

from replicator.api.coverage import Gap, GuestCoverage, UncoveredVolume
from replicator.api.doctor import Level, Line, Subject
from replicator.cluster.file_copies import Standing
from replicator.cluster.model import Cluster
from replicator.doctor import cluster_state, rooms
from replicator.doctor.zfs_state import Room
from replicator.models import Guest, GuestId, Job, JobId, Node, Storage, Volume
from replicator.zfs.model import Dataset, Inventory

NOW = 1_800_000_000.0
JOB = Job(JobId(100, 0), "beta", schedule="*/15", keep="6h:15m,7d:1d")


def cluster(*jobs: Job, storages: tuple[Storage, ...] = (Storage("data", "tank/data"),), **nodes: Node) -> Cluster:
    """A cluster of alpha with guest 100, and beta."""
    known = {"alpha": Node("alpha", "10.0.0.11"), "beta": Node("beta", "10.0.0.12"), **nodes}
    return Cluster(
        nodes=known,
        storages={each.name: each for each in storages},
        guests={100: Guest(100, "web", "alpha")},
        jobs={job.id: job for job in jobs},
    )


def only(lines: list[Line]) -> Line:
    (line,) = lines
    return line


class TestNames:
    def test_short_ones_are_well(self) -> None:
        assert only(cluster_state.names(cluster(JOB), "alpha")).level is Level.OK

    def test_one_without_room_for_a_snapshot_is_a_failure(self) -> None:
        long = cluster(JOB, storages=(Storage("data", f"tank/{'x' * 230}"),))

        line = only(cluster_state.names(long, "alpha"))

        assert line.level is Level.FAIL
        assert "characters too many" in line.text


class TestOverlap:
    def lines(self, *storages: Storage) -> list[Line]:
        return cluster_state.overlap(cluster(JOB, storages=storages), "alpha")

    def test_neighbours_are_well_also_if_one_name_begins_like_the_other(self) -> None:
        assert only(self.lines(Storage("a", "tank/vm"), Storage("b", "tank/vms"))).level is Level.OK

    def test_one_inside_another_is_a_warning_on_each_node(self) -> None:
        found = self.lines(Storage("all", "tank"), Storage("vms", "tank/vms"))

        assert [line.level for line in found] == [Level.WARN, Level.WARN]
        assert found[0].text == "On alpha storage vms (tank/vms) lies in storage all (tank)."

    def test_it_counts_what_a_path_is_on_that_node(self) -> None:
        found = self.lines(Storage("a", "tank/a"), Storage("b", "tank/b", paths=(("beta", "tank/a/b"),)))

        assert only(found).text.startswith("On beta storage b")

    def test_one_that_a_node_may_not_use_does_not_count_there(self) -> None:
        found = self.lines(Storage("a", "tank"), Storage("b", "tank/b", nodes=frozenset({"beta"})))

        assert only(found).text.startswith("On beta ")

    def test_two_of_the_same_dataset_are_a_failure(self) -> None:
        assert {line.level for line in self.lines(Storage("a", "tank/d"), Storage("b", "tank/d"))} == {Level.FAIL}


class TestPromises:
    def judged(self, job: Job) -> Line:
        return only(cluster_state.promises(cluster(job), "alpha", NOW))

    def test_a_job_that_can_keep_its_promise_is_well(self) -> None:
        assert self.judged(JOB).text == "1 job; no copy may become older than 30 min."

    def test_a_promise_shorter_than_the_schedules_gap_cannot_be_kept(self) -> None:
        line = self.judged(replace(JOB, rpo=600.0))

        assert line.level is Level.FAIL
        assert "at most 10 min" in line.text
        assert "gaps of 15 min" in line.text
        assert "--rpo 30m" in line.advice

    def test_a_promise_of_a_month_is_hardly_one(self) -> None:
        assert self.judged(replace(JOB, rpo=30 * 86400.0)).level is Level.WARN

    def test_a_disabled_job_promises_nothing(self) -> None:
        assert "nothing is promised: 100-0" in self.judged(replace(JOB, disabled=True)).text

    def test_one_restore_point_is_no_way_back(self) -> None:
        assert "One restore point only: 100-0." in self.judged(replace(JOB, keep="1")).text

    def test_a_schedule_that_is_hardly_meant_is_named(self) -> None:
        assert self.judged(replace(JOB, schedule="24:00")).level is Level.WARN

    def test_a_node_without_a_guest_that_gets_copies_needs_no_job(self) -> None:
        line = only(cluster_state.promises(cluster(JOB), "beta", NOW))

        assert (line.level, line.text) == (Level.OFF, "This node has no guest. Jobs of other nodes that end here: 1.")

    def test_a_node_without_a_job_replicates_nothing(self) -> None:
        assert only(cluster_state.promises(cluster(), "alpha", NOW)).level is Level.WARN


class TestCopies:
    def test_a_copy_on_another_machine_is_one(self) -> None:
        assert only(cluster_state.copies(cluster(JOB), "alpha")).level is Level.OK

    def test_a_copy_on_this_machine_is_none(self) -> None:
        line = only(cluster_state.copies(cluster(JOB, beta=Node("beta", "local")), "alpha"))

        assert line.level is Level.FAIL
        assert line.text.endswith("guest 100.")

    def test_a_second_job_to_another_machine_is_enough(self) -> None:
        second = replace(JOB, id=JobId(100, 1), target="gamma")
        both = cluster(JOB, second, beta=Node("beta", "local"), gamma=Node("gamma", "10.0.0.13"))

        assert only(cluster_state.copies(both, "alpha")).level is Level.OK


class TestCoverage:
    def lines(self, found: dict[GuestId, GuestCoverage], *unknown: int) -> list[Line]:
        return cluster_state.coverage("alpha", cluster(JOB), found, unknown)

    def test_all_replicated_is_well(self) -> None:
        assert only(self.lines({100: GuestCoverage("web", (JOB.id,))})).level is Level.OK

    def test_a_guest_without_a_job_is_named(self) -> None:
        assert only(self.lines({100: GuestCoverage("web", ())})).text == "No job at all: guest 100."

    def test_a_volume_that_no_setting_excludes_is_named(self) -> None:
        left = (UncoveredVolume("tank/data/vm-100-disk-1", Gap.NOT_LISTED),)

        line = only(self.lines({100: GuestCoverage("web", (JOB.id,), left)}))

        assert line.level is Level.WARN
        assert "tank/data/vm-100-disk-1" in line.text

    def test_volumes_of_guests_that_nobody_entered_are_named(self) -> None:
        assert "does not have: 777" in self.lines({100: GuestCoverage("web", (JOB.id,))}, 777)[0].text

    def test_a_guest_on_a_node_without_zsr_is_replicated_by_nobody(self) -> None:
        silent = cluster(JOB, alpha=Node("alpha", "10.0.0.11", zsr=False))

        assert "zsr = false" in cluster_state.coverage("beta", silent, {}, ())[0].text


class TestClusterFile:
    @pytest.mark.parametrize(
        ("standing", "level", "advice"),
        [
            (Standing.SAME, Level.OK, ""),
            (Standing.ABSENT, Level.WARN, "zsr cluster push beta"),
            (Standing.OLDER, Level.WARN, "zsr cluster push beta"),
            (Standing.EDITED, Level.WARN, "Compare first: zsr cluster diff beta"),
            (Standing.AHEAD, Level.FAIL, "Compare first: zsr cluster diff beta"),
        ],
    )
    def test_a_copy_is_judged_by_how_it_stands(self, standing: Standing, level: Level, advice: str) -> None:
        line = cluster_state.cluster_file(Subject("cluster-file", "beta"), standing)

        assert (line.level, line.advice) == (level, advice)

    def test_a_file_that_no_other_node_has_needs_a_backup(self) -> None:
        assert cluster_state.no_other_copy("alpha", ()).level is Level.WARN
        assert cluster_state.no_other_copy("alpha", ["beta"]).level is Level.OK


class TestRooms:
    def inventory(self, path: str, **used: int) -> Inventory:
        return Inventory({f"{path}/{n.replace('_', '-')}": self.dataset(f"{path}/{n.replace('_', '-')}", size)
                          for n, size in used.items()})  # fmt: skip

    def dataset(self, name: str, used: int) -> Dataset:
        return Dataset(name, is_volume=True, guid=1, used=used)

    def test_what_the_target_has_already_needs_no_room(self) -> None:
        ours = self.inventory("tank/data", vm_100_disk_0=70, vm_100_disk_1=30, vm_200_disk_0=999)
        theirs = self.inventory("tank/data", vm_100_disk_0=70)

        found = rooms.rooms(cluster(JOB), "alpha", "beta", ours, theirs, {"tank/data": 50})

        assert found == [Room("tank", needed=30, free=50)]

    def test_a_child_counts_with_its_parent_once(self) -> None:
        ours = self.inventory("tank/data", subvol_100_disk_0=70)
        child = "tank/data/subvol-100-disk-0/home"
        both = Inventory({**ours.datasets, child: self.dataset(child, 60)})

        found = rooms.rooms(cluster(JOB), "alpha", "beta", both, Inventory(), {"tank/data": 50})

        assert found == [Room("tank", needed=70, free=50)]

    def test_a_quota_of_a_storage_is_the_room_of_its_pool(self) -> None:
        two = cluster(JOB, storages=(Storage("a", "tank/a"), Storage("b", "tank/b")))

        found = rooms.rooms(two, "alpha", "beta", Inventory(), Inventory(), {"tank/a": 50, "tank/b": 10})

        assert found == [Room("tank", needed=0, free=10)]

    def test_a_guest_whose_volumes_are_wrong_is_left_to_other_checks(self) -> None:
        listed = cluster(JOB)
        guest = replace(listed.guests[100], volumes=(Volume("data", "not-there"),))

        found = rooms.rooms(replace(listed, guests={100: guest}), "alpha", "beta", Inventory(), Inventory(), {})

        assert found == []
