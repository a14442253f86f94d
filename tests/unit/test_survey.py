"""What a node's own ZFS says of the replicas that it holds for others, and of what was kept aside."""

from __future__ import annotations

from replicator.jobs import Job, JobId
from replicator.plugins import HeldReplica
from replicator.survey import count_diverged, held_replicas
from replicator.zfs.facts import Dataset, Inventory, Snapshot


def replica(name: str, *times: int, job: str | None = "100-0", source: str | None = "alpha") -> Dataset:
    """A replica with this job's snapshots of these times."""
    snapshots = tuple(Snapshot(f"__replicate_100-0_{time}__", time, time, time) for time in times)
    return Dataset(name, is_volume=True, guid=1, snapshots=snapshots, job=job, source=source)


def held(*datasets: Dataset) -> list[HeldReplica]:
    """What a storage with these datasets holds."""
    return held_replicas("tank", Inventory({dataset.name: dataset for dataset in datasets}))


def test_a_guest_is_as_old_as_its_oldest_replica() -> None:
    assert held(replica("t/a", 100, 200), replica("t/b", 150)) == [HeldReplica(100, "alpha", "tank", 150)]


def test_a_guest_with_a_replica_that_is_not_there_yet_is_not_held() -> None:
    assert held(replica("t/a", 100), replica("t/b")) == []


def test_what_is_no_replica_does_not_count() -> None:
    assert held(replica("t/a", 100, job=None), replica("t/b", 100, job="by hand")) == []


def test_what_is_kept_aside_is_no_replica_and_does_not_make_one_look_old() -> None:
    aside = replica("t/zsr-diverged/a-90", 50)

    assert held(replica("t/a", 100), aside) == [HeldReplica(100, "alpha", "tank", 100)]


JOBS = (Job(JobId(100, 0), "beta"), Job(JobId(101, 0), "beta"), Job(JobId(102, 0), "gamma"))


def aside_on_beta(*datasets: Dataset, all_read: bool = True) -> dict[int, int]:
    """How many volumes are kept aside on node beta with these datasets."""
    inventory = Inventory({dataset.name: dataset for dataset in datasets})
    return count_diverged({"t": inventory}, JOBS, "beta", all_read=all_read)


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
