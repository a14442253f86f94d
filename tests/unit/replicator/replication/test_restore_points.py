"""Restore points: what the target's own snapshots say one could go back to."""

from __future__ import annotations

from replicator.models import JobId
from replicator.replication.restore_points import Replicas, RestorePoint, restore_points
from replicator.zfs.model import Dataset, Snapshot
from replicator.zfs.snapshot_names import snapshot_name

JOB = JobId(100, 0)
A, B = "tank/vm-100-disk-0", "tank/vm-100-disk-1"


def snap(at: int, *, written: int | None = 10, name: str | None = None) -> Snapshot:
    """A snapshot of the job (unless named otherwise) of this time."""
    return Snapshot(name or snapshot_name(JOB, at), guid=at, createtxg=at, creation=at, written=written)


def replica(name: str, *snapshots: Snapshot) -> Dataset:
    """A replica with these snapshots."""
    return Dataset(name, is_volume=True, guid=1, snapshots=snapshots, job=str(JOB))


def points(*replicas: Dataset, wanted: frozenset[str] | None = frozenset({A, B})) -> list[RestorePoint]:
    """The restore points in these replicas."""
    return restore_points(JOB, Replicas({dataset.name: dataset for dataset in replicas}, wanted))


def test_a_set_is_a_point_and_the_newest_comes_first() -> None:
    found = points(replica(A, snap(100), snap(200)), replica(B, snap(100), snap(200)))

    assert [point.time for point in found] == [200, 100]
    assert found[0].name == "__replicate_100-0_200__"


def test_a_set_with_every_volume_that_the_guest_has_now_is_complete() -> None:
    new, old = points(replica(A, snap(100), snap(200)), replica(B, snap(200)))

    assert (new.volumes, new.of, new.complete) == (2, 2, True)
    assert (old.volumes, old.of, old.complete) == (1, 2, False)


def test_a_volume_that_is_on_its_way_makes_every_set_incomplete() -> None:
    assert [point.complete for point in points(replica(A, snap(100)))] == [False]


def test_a_replica_whose_volume_is_gone_counts_to_no_set_but_is_listed_with_it() -> None:
    [point] = points(replica(A, snap(100)), replica(B, snap(100)), wanted=frozenset({A}))

    assert (point.volumes, point.of, point.complete) == (1, 1, True)
    assert point.datasets == (A, B)


def test_when_the_source_is_silent_the_replicas_say_which_set_is_complete() -> None:
    new, old = points(replica(A, snap(100), snap(200)), replica(B, snap(100)), wanted=None)

    assert (new.volumes, new.of, new.complete) == (1, 2, False)
    assert (old.volumes, old.of, old.complete) == (2, 2, True)


def test_written_is_what_the_set_holds_more_than_the_one_before() -> None:
    between = snap(150, written=7, name="by-hand")
    new, old = points(
        replica(A, snap(100, written=50), between, snap(200, written=3)), replica(B, snap(200, written=1))
    )

    assert (new.written, old.written) == (7 + 3 + 1, 50)


def test_written_that_one_volume_does_not_report_is_not_known() -> None:
    [point] = points(replica(A, snap(100, written=50)), replica(B, snap(100, written=None)))

    assert point.written is None


def test_snapshots_of_other_jobs_and_of_people_are_no_points() -> None:
    assert points(replica(A, snap(100, name="__replicate_100-1_100__"), snap(200, name="daily"))) == []


def test_a_set_that_was_set_aside_with_a_replica_is_a_point_of_its_volume() -> None:
    stale = replica("tank/zsr-diverged/vm-100-disk-0-7-points", snap(200))
    replicas = {each.name: each for each in (replica(A, snap(100), snap(300)), replica(B, snap(200), snap(300)))}

    new, stale_point, old = restore_points(JOB, Replicas(replicas, frozenset({A, B}), None, {A: (stale,)}))

    assert (stale_point.time, stale_point.volumes, stale_point.complete) == (200, 2, True)
    assert stale_point.datasets == (stale.name, B)
    assert (new.complete, old.complete) == (True, False)
