"""What a node's own ZFS says of the replicas that it holds for others, and of those kept aside."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from replicator.api.held import HeldReplica
from replicator.api.status import Unmeasured
from replicator.cluster.model import Cluster
from replicator.daemon.held_replicas import held_replicas, replicas_in
from replicator.daemon.kept_aside import count_diverged, kept_aside
from replicator.daemon.local_inventory import LocalInventory, conclude
from replicator.models import Guest, GuestId, Job, JobId, Storage, Volume
from replicator.zfs.model import Bookmark, Dataset, Inventory, Snapshot


def replica(
    name: str, *times: int, job: str | None = "100-0", source: str | None = "alpha", used: int | None = 10
) -> Dataset:
    """A replica with this job's snapshots of these times."""
    snapshots = tuple(Snapshot(f"__replicate_100-0_{time}__", time, time, time) for time in times)
    return Dataset(name, is_volume=True, guid=1, snapshots=snapshots, job=job, source=source, used=used)


def held(*datasets: Dataset) -> list[HeldReplica]:
    """What a storage with these datasets holds."""
    return held_replicas(replicas_in({"tank": Inventory({dataset.name: dataset for dataset in datasets})}))


def test_a_guest_is_as_old_as_its_oldest_replica() -> None:
    assert [each.last_sync for each in held(replica("t/a", 100, 200), replica("t/b", 100))] == [100]


def test_replicas_of_one_moment_do_not_differ() -> None:
    found = held(replica("t/a", 100, 200), replica("t/b", 200))

    assert found == [HeldReplica(100, "alpha", "tank", 200, 20, volumes=2, points=1, oldest_point=200)]


def test_restore_points_are_the_sets_that_all_replicas_have_also_in_what_was_set_aside() -> None:
    aside = replica("t/zsr-diverged/b-90", 50, 70)
    found = held(replica("t/a", 50, 100, 200), replica("t/b", 100, 200), aside)

    assert [(each.volumes, each.points, each.oldest_point) for each in found] == [(2, 3, 50)]
    others = replica("t/zsr-diverged/c-90", 50)
    [alone] = held(replica("t/a", 50, 100, 200), replica("t/b", 100, 200), others)
    assert (alone.points, alone.oldest_point) == (2, 100)


def test_a_replica_that_is_ahead_of_another_is_reported_also_from_another_storage() -> None:
    one, other = replica("t/a", 100, 200), replica("d/b", 100)

    found = held_replicas(replicas_in({"data": Inventory({"d/b": other}), "tank": Inventory({"t/a": one})}))

    assert [(each.storage, each.last_sync, each.ahead) for each in found] == [("data", 100, False), ("tank", 200, True)]


def test_a_replica_whose_volume_left_the_guest_does_not_make_it_look_old() -> None:
    vanished = replica("t/b", 50, 100)

    assert [(each.last_sync, each.volumes) for each in held(replica("t/a", 100, 200, 300), vanished)] == [(300, 1)]


def test_the_size_of_replicas_is_not_known_while_one_of_them_is_not_asked() -> None:
    assert [each.used for each in held(replica("t/a", 100), replica("t/b", 100, used=None))] == [None]


def test_a_guest_with_a_replica_that_is_not_there_yet_is_not_held() -> None:
    assert held(replica("t/a", 100), replica("t/b")) == []


def test_what_is_no_replica_does_not_count() -> None:
    assert held(replica("t/a", 100, job=None), replica("t/b", 100, job="by hand")) == []


def test_what_is_kept_aside_is_no_replica_and_does_not_make_one_look_old() -> None:
    aside = replica("t/zsr-diverged/a-90", 50)

    assert [(each.last_sync, each.volumes) for each in held(replica("t/a", 100), aside)] == [(100, 1)]


JOBS = (Job(JobId(100, 0), "beta"), Job(JobId(101, 0), "beta"), Job(JobId(102, 0), "gamma"))


def aside_on_beta(*datasets: Dataset, all_read: bool = True) -> dict[GuestId, int]:
    """How many volumes are kept aside on node beta with these datasets."""
    inventory = Inventory({dataset.name: dataset for dataset in datasets})
    asides = kept_aside({"t": inventory}, {job.id: job for job in JOBS}, "beta")
    return count_diverged(asides, JOBS, "beta", all_read=all_read)


def test_guests_with_a_job_to_this_node_have_nothing_aside_from_the_start() -> None:
    assert aside_on_beta() == {100: 0, 101: 0}


def test_what_is_kept_aside_is_counted_by_guest_whatever_became_of_its_job() -> None:
    found = aside_on_beta(
        replica("t/a"),
        replica("t/zsr-diverged/a-1"),
        replica("t/zsr-diverged/a-2"),
        replica("t/zsr-diverged/b-1", job="300-0"),
        replica("t/zsr-diverged/mine", job=None),
    )

    assert found == {100: 2, 101: 0, 300: 1}


def test_as_long_as_a_storage_cannot_be_read_only_what_was_found_is_claimed() -> None:
    assert aside_on_beta(replica("t/zsr-diverged/a-1"), all_read=False) == {100: 1}


def of_guests(*guests: Guest, datasets: tuple[Dataset, ...], unread: tuple[str, ...] = ()) -> LocalInventory:
    """What the survey of node alpha concludes for a job of each guest, all of them on one storage."""
    jobs = {JobId(guest.id, 0): Job(JobId(guest.id, 0), "beta") for guest in guests}
    cluster = Cluster({}, {"t": Storage("t", "t")}, {guest.id: guest for guest in guests}, jobs)
    inventory = Inventory({dataset.name: dataset for dataset in datasets})
    return conclude(cluster, jobs.values(), "alpha", {} if unread else {"t": inventory}, unread)


def test_a_replica_is_held_by_the_innermost_of_the_storages_that_it_lies_in() -> None:
    cluster = Cluster({}, {"outer": Storage("outer", "t"), "inner": Storage("inner", "t/data")}, {}, {})
    mine, theirs = replica("t/a", 100), replica("t/data/a", 200)
    listings = {"outer": Inventory({"t/a": mine, "t/data/a": theirs}), "inner": Inventory({"t/data/a": theirs})}

    assert conclude(cluster, (), "beta", listings).replicas == (
        HeldReplica(100, "alpha", "inner", 200, 10, ahead=True, oldest_point=200),
        HeldReplica(100, "alpha", "outer", 100, 10, oldest_point=100),
    )


def volume(name: str, *snapshots: str, bookmarks: tuple[str, ...] = (), written: int = 5) -> Dataset:
    """A volume with these snapshots, each with 100 bytes written before it."""
    return Dataset(
        name,
        is_volume=True,
        guid=1,
        snapshots=tuple(Snapshot(each, 1, number, 1, written=100) for number, each in enumerate(snapshots)),
        bookmarks=tuple(Bookmark(each, 1, 1, 1) for each in bookmarks),
        written=written,
    )


OWN = tuple(f"__replicate_100-0_{number}__" for number in range(3))


def test_the_jobs_own_snapshots_and_bookmarks_are_counted_on_the_volume_with_the_most() -> None:
    found = of_guests(
        Guest(100, "web", "alpha"),
        datasets=(
            volume("t/vm-100-disk-0", OWN[0], "by-hand", OWN[1], bookmarks=(OWN[2], "mine")),
            volume("t/vm-100-disk-1", OWN[1], "__replicate_100-1_1__"),
            volume("t/vm-1000-disk-0", OWN[0]),
        ),
    )

    assert found.marks == {JobId(100, 0): 3}
    assert found.oldest_sets == {JobId(100, 0): 0}


def test_what_was_written_since_is_added_up_for_each_guest() -> None:
    found = of_guests(
        Guest(100, "web", "alpha"),
        Guest(101, "mail", "alpha", volumes=(Volume("t", "mail/spool"),)),
        datasets=(volume("t/vm-100-disk-0", OWN[0], "later"), volume("t/mail/spool", written=7), volume("t/vm-101-x")),
    )

    assert found.unreplicated == {JobId(100, 0): 105, JobId(101, 0): 7}


def test_of_a_storage_that_cannot_be_read_nothing_is_claimed() -> None:
    found = of_guests(Guest(100, "web", "alpha"), datasets=(), unread=("The pool is suspended.",))

    assert (found.marks, found.unreplicated) == ({JobId(100, 0): None}, {JobId(100, 0): None})
    assert found.unmeasured == {JobId(100, 0): Unmeasured.STORAGE}
    assert found.problems == ("The pool is suspended.",)


def test_stale_restore_points_and_snapshots_of_others_do_not_count_as_diverged() -> None:
    clone: dict[str, Any] = {"origin": "t/a@base", "written": 0, "readonly": True}
    found = aside_on_beta(
        replace(replica("t/zsr-diverged/a-1-points", 5), **clone),
        replace(replica("t/zsr-diverged/a-2-others"), **clone),
        replace(replica("t/zsr-diverged/a-3-points", 5), **{**clone, "written": 1}),
    )

    assert found == {100: 1, 101: 0}
