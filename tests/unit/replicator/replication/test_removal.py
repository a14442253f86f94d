"""Removal of a job: half-received states go with their replicas, and an absent pool proves nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import pytest

from replicator.errors import StorageMissingError
from replicator.models import Job, KnownSets, Removal, Storage
from replicator.replication.progress import Progress
from replicator.replication.removal import remove
from replicator.zfs.client import ZfsClient
from replicator.zfs.model import Dataset, Inventory, Snapshot
from replicator.zfs.permits import BookmarksPermit, HalfReceivedPermit, ReplicaPermit, SnapshotsPermit
from tests.support.volumes import JOB, dataset, snap

NAME = "pool/vm-100-disk-0"


class Node:
    """A node that notes what it is told to drop and to destroy; ``has_state``: there is a state to drop."""

    def __init__(self, node: str, *found: Dataset, has_state: bool = True) -> None:
        self.node = node
        self.orders: list[str] = []
        self._found = Inventory({each.name: each for each in found})
        self._has_state = has_state

    async def inventory(self, path: str, *, depth: int, bookmarks: bool, marks_of: str | None = None) -> Inventory:
        return self._found

    async def abort_receive(self, permit: HalfReceivedPermit) -> bool:
        self.orders.append(f"drop {permit.dataset}")
        return self._has_state

    async def destroy_replica(self, permit: ReplicaPermit) -> None:
        self.orders.append(f"destroy {permit.dataset}")

    async def destroy_snapshots(self, permit: SnapshotsPermit) -> None:
        self.orders += [f"destroy {name}" for name in permit.names]

    async def destroy_bookmarks(self, permit: BookmarksPermit) -> None:
        assert permit.bookmarks == ()


class Missing(Node):
    """A node without the storage's dataset; ``pool`` says whether the pool is there."""

    def __init__(self, node: str, *, pool: bool) -> None:
        super().__init__(node)
        self._pool = pool

    async def inventory(
        self, path: str, *, depth: int, bookmarks: bool = False, marks_of: str | None = None
    ) -> Inventory:
        if path == "pool" and self._pool:
            return Inventory()
        raise StorageMissingError(f"'{path}' does not exist.")


@pytest.mark.parametrize("volumes", [(), ("data:vm-100-disk-0",)], ids=["unknown volumes", "a volume there"])
async def test_a_pool_that_is_absent_is_not_an_empty_one(volumes: tuple[str, ...]) -> None:
    with pytest.raises(StorageMissingError, match="absent"):
        await remove_on(Missing("beta", pool=False), KnownSets(volumes=volumes))


async def test_a_storage_that_never_had_a_volume_of_the_job_may_be_absent() -> None:
    await remove_on(Missing("beta", pool=False), KnownSets(volumes=("other:vm-100-disk-0",)))


async def test_a_dataset_that_is_gone_from_a_pool_that_is_there_is_gone() -> None:
    await remove_on(Missing("beta", pool=True), KnownSets())


async def test_nor_where_a_replica_without_a_volume_was_seen() -> None:
    with pytest.raises(StorageMissingError, match="absent"):
        await remove_on(Missing("beta", pool=False), KnownSets(volumes=("other:a",)), ["pool/data/vm-100-disk-9"])


async def test_only_the_guests_volumes_lose_the_jobs_snapshots() -> None:
    """Somebody's copy of a volume, below the storage, has a snapshot of the same name and mark."""
    taken = KnownSets(volumes=("data:mail",), taken=(1001,))
    found = [
        dataset(snap(1), name=f"pool/{name}") for name in ("mail", "vm-100-disk-5", "vm-101-disk-0", "backup/mail")
    ]
    source = Node("alpha", *found)
    job, alpha, beta = Job(JOB, "beta", removal=Removal.LOCAL), cast(ZfsClient, source), cast(ZfsClient, Node("beta"))
    storages = [Storage("data", "pool")]
    await remove(job, storages, alpha, beta, taken, (), Progress(), lambda level, text: None, now=0.0)
    assert source.orders == [f"destroy pool/{name}@{snap(1).name}" for name in ("mail", "vm-100-disk-5")]


async def remove_on(target: Node, known: KnownSets, vanished: Sequence[str] = ()) -> None:
    """Remove the job from a target; the storage lies below the pool, and the source has nothing."""
    job, storages = Job(JOB, "beta", removal=Removal.FULL), [Storage("data", "pool/data")]
    alpha, beta = cast(ZfsClient, Node("alpha")), cast(ZfsClient, target)
    await remove(job, storages, alpha, beta, known, vanished, Progress(), lambda level, text: None, now=0.0)


@pytest.mark.parametrize(
    ("snapshots", "has_state", "orders"),
    [
        ([snap(1)], True, [f"drop {NAME}", f"destroy {NAME}"]),
        ([], True, [f"drop {NAME}"]),  # the dataset goes with the state that was all of it
        ([], False, [f"drop {NAME}", f"destroy {NAME}"]),
    ],
    ids=["a replica", "a first transfer that was cut", "a token without a state"],
)
async def test_a_half_received_state_goes_with_its_replica(
    snapshots: list[Snapshot], has_state: bool, orders: list[str]
) -> None:
    replica = dataset(*snapshots, name=NAME, job=str(JOB), token="1-a-b-c", readonly=True)
    target = Node("beta", replica, has_state=has_state)
    job = Job(JOB, "beta", removal=Removal.FULL)
    alpha, beta = cast(ZfsClient, Node("alpha")), cast(ZfsClient, target)
    storages = [Storage("data", "pool")]
    await remove(job, storages, alpha, beta, KnownSets(), (), Progress(), lambda level, text: None, now=0.0)
    assert target.orders == orders


async def test_a_removal_that_is_to_leave_the_target_alone_asks_nothing_of_it() -> None:
    target = Node("beta", dataset(snap(1), name=NAME, job=str(JOB), token="1-a-b-c", readonly=True))
    job = Job(JOB, "beta", removal=Removal.LOCAL)
    alpha, beta = cast(ZfsClient, Node("alpha")), cast(ZfsClient, target)
    storages = [Storage("data", "pool")]
    await remove(job, storages, alpha, beta, KnownSets(), (), Progress(), lambda level, text: None, now=0.0)
    assert target.orders == []
