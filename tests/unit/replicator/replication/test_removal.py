"""Removal of a job: half-received states go with their replicas, and an absent pool proves nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import pytest

from replicator.errors import StorageMissingError, SupersededError, TargetActiveError
from replicator.job_choices import Removal
from replicator.models import Job, KnownSets, Storage
from replicator.replication.progress import Progress
from replicator.replication.removal import remove
from replicator.zfs.client import ZfsClient
from replicator.zfs.fence import Fence, Stamped
from replicator.zfs.model import Dataset, Inventory, Snapshot
from replicator.zfs.permits import BookmarksPermit, HalfReceivedPermit, ReplicaPermit, SnapshotsPermit
from tests.support.volumes import JOB, dataset, snap

NAME = "pool/vm-100-disk-0"


class Node:
    """A node that notes what it is told to drop and to destroy; ``has_state``: there is a state to drop."""

    def __init__(self, node: str, *found: Dataset, has_state: bool = True) -> None:
        self.node = node
        self.orders: list[str] = []
        self.stamped: Sequence[Stamped] = ()
        self._found = Inventory({each.name: each for each in found})
        self._has_state = has_state

    async def inventory(self, path: str, *, depth: int, bookmarks: bool, marks_of: str | None = None) -> Inventory:
        return self._found

    async def local_stamps(self, datasets: Sequence[str]) -> list[Stamped]:
        return [each for each in self.stamped if each.dataset in datasets]

    async def promote(self, dataset: str) -> None:
        self.orders.append(f"promote {dataset}")

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


async def test_all_volumes_lose_the_jobs_snapshots_where_its_volumes_are_not_remembered() -> None:
    source = Node("alpha", dataset(replace(snap(1), source="alpha"), name="pool/mail"))
    await remove_on(Node("beta"), KnownSets(), source=source, storage="pool")
    assert source.orders == [f"destroy pool/mail@{snap(1).name}"]


async def remove_on(
    target: Node,
    known: KnownSets,
    vanished: Sequence[str] = (),
    *,
    source: Node | None = None,
    storage: str = "pool/data",
    fence: Fence | None = None,
) -> None:
    """Remove the job from a target; the storage lies below the pool, and the source has nothing."""
    job, storages = Job(JOB, "beta", removal=Removal.FULL), [Storage("data", storage)]
    alpha, beta = cast(ZfsClient, source or Node("alpha")), cast(ZfsClient, target)
    await remove(
        job, storages, alpha, beta, known, vanished, Progress(), lambda level, text: None, now=0.0, fence=fence
    )


def replica(number: int, **more: Any) -> Dataset:
    """One of the job's replicas."""
    return dataset(snap(1), name=f"pool/vm-100-disk-{number}", **{"job": str(JOB), "readonly": True, **more})


class TestAReplicaThatStays:
    @pytest.mark.parametrize("use", [{"readonly": False}, {"written": 512}], ids=["writable", "written to"])
    async def test_because_it_is_in_use_keeps_the_job_and_the_sources_snapshots(self, use: dict[str, object]) -> None:
        """Else nothing would know of it any more."""
        target, source = Node("beta", replica(0, **use), replica(1)), Node("alpha", dataset(snap(1), name=NAME))
        with pytest.raises(TargetActiveError, match="disk-0"):
            await remove_on(target, KnownSets(taken=(1001,)), source=source, storage="pool")
        assert (target.orders, source.orders) == (["destroy pool/vm-100-disk-1"], [])

    async def test_because_it_is_in_use_keeps_the_one_above_it(self) -> None:
        """A parent cannot be destroyed or set aside without it."""
        above, below = replica(0), dataset(snap(1), name="pool/vm-100-disk-0/var", job=str(JOB), readonly=False)
        target = Node("beta", below, above, replica(1))
        with pytest.raises(TargetActiveError, match="disk-0/var"):
            await remove_on(target, KnownSets(), storage="pool")
        assert target.orders == ["destroy pool/vm-100-disk-1"]

    async def test_because_it_is_another_nodes_keeps_nothing_else(self) -> None:
        target = Node("beta", replica(0, source="gamma"), replica(1))
        await remove_on(target, KnownSets(), storage="pool")
        assert target.orders == ["destroy pool/vm-100-disk-1"]

    async def test_because_another_node_owns_the_guest_keeps_all_others(self) -> None:
        target = Node("beta", replica(0), replica(1, owner="gamma", epoch="3"))
        target.stamped = [Stamped("pool/vm-100-disk-1", "gamma", "3")]
        with pytest.raises(SupersededError, match="disk-1"):
            await remove_on(target, KnownSets(), storage="pool", fence=Fence(JOB, "alpha", 2))
        assert target.orders == []

    async def test_because_it_is_a_storage_itself_keeps_nothing_else(self) -> None:
        target = Node("beta", dataset(name="pool/data", job=str(JOB), readonly=True))
        await remove_on(target, KnownSets())
        assert target.orders == []


class TestAReplicaThatAnEarlierJobOfTheNumberLeftBehind:
    """Or one of another cluster with the same numbers and names: its marks are the job's."""

    KNOWN = KnownSets(1009, ("data:vm-100-disk-0",), (1009,), frozenset({9}))

    async def test_stays_where_this_node_remembers_what_it_sent(self) -> None:
        ours = replace(replica(0), snapshots=(snap(9),))
        target = Node("beta", ours, replica(1), replica(2, token="1-a-b-c"))
        await remove_on(target, self.KNOWN, storage="pool")
        assert target.orders == [f"destroy {NAME}"]

    async def test_keeps_the_one_above_it(self) -> None:
        ours, below = replace(replica(0), snapshots=(snap(9),)), replace(replica(1), name=f"{NAME}/child")
        target = Node("beta", ours, below)
        await remove_on(target, self.KNOWN, storage="pool")
        assert target.orders == []

    @pytest.mark.parametrize(
        "known",
        [
            KnownSets(),
            replace(KNOWN, taken=(1001,)),
            replace(KNOWN, inherited=frozenset({1})),
            replace(KNOWN, by_name=True),
        ],
        ids=["the memory is lost", "its set was taken here", "taken over", "older than the memory"],
    )
    async def test_is_not_distinguished_else(self, known: KnownSets) -> None:
        target = Node("beta", replica(0))
        await remove_on(target, known, storage="pool")
        assert target.orders == [f"destroy {NAME}"]


async def test_what_is_kept_aside_gets_the_snapshots_of_the_replica_of_which_it_is_a_clone() -> None:
    aside = dataset(name="pool/zsr-diverged/vm-100-disk-0-7", job=str(JOB), origin=f"{NAME}@{snap(1).name}")
    other = replace(aside, name="pool/zsr-diverged/vm-100-disk-1-7", origin="pool/vm-100-disk-1@x")
    target = Node("beta", replica(0), aside, other)
    await remove_on(target, KnownSets(), storage="pool")
    assert target.orders == [f"promote {aside.name}", f"destroy {NAME}"]


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
