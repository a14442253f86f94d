"""What a node's own ZFS says of the replicas that it holds for others."""

from __future__ import annotations

from replicator.plugins import HeldReplica
from replicator.survey import held_replicas
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
