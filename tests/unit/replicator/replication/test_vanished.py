"""Which replicas count as vanished: those with which no volume would go on."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import pytest

from replicator.errors import ConfigError
from replicator.models import Guest, Job, Storage
from replicator.replication.discovery import Discovered
from replicator.replication.vanished import destroy_vanished, left_over
from replicator.zfs.client import ZfsClient
from replicator.zfs.fence import Fence
from replicator.zfs.model import Dataset, Inventory
from replicator.zfs.permits import ReplicaPermit
from tests.support.volumes import JOB, WAY, dataset, pair, snap

OLD = dataset(snap(1), name="pool/vm-100-disk-9", job=str(JOB), readonly=True)


def test_a_replica_of_which_the_source_has_nothing_is_vanished() -> None:
    found = Discovered((pair(dataset(snap(5)), None),), (OLD,), ())
    assert left_over(WAY, found) == (OLD,)


def test_the_replica_of_a_volume_that_was_renamed_is_not() -> None:
    found = Discovered((pair(dataset(snap(1), snap(2)), None),), (OLD,), ())
    assert left_over(WAY, found) == ()


def test_but_a_second_one_beside_it_is() -> None:
    other = replace(OLD, name="pool/vm-100-disk-8", snapshots=(snap(7),))
    found = Discovered((pair(dataset(snap(1), snap(2)), None),), (OLD, other), ())
    assert left_over(WAY, found) == (other,)


class Node:
    """A node with some datasets; notes with which fence a replica is destroyed."""

    def __init__(self, node: str, *found: Dataset) -> None:
        self.node = node
        self.found = found
        self.destroyed: list[tuple[str, Fence | None]] = []

    async def inventory(
        self, path: str, *, depth: int, bookmarks: bool = False, marks_of: str | None = None
    ) -> Inventory:
        return Inventory({each.name: each for each in self.found if f"{each.name}/".startswith(f"{path}/")})

    async def destroy_replica(self, permit: ReplicaPermit) -> None:
        self.destroyed.append((permit.dataset, permit.fence))


async def destroy(*source: Dataset) -> Node:
    """Let a person destroy the old replica, while the source has these volumes; the target."""
    alpha, beta = Node("alpha", *source), Node("beta", OLD)
    job, guest = Job(JOB, "beta"), Guest(100, "web", "alpha", epoch=4)
    storages = [Storage("data", "tank", paths=(("beta", "pool"),))]
    here, there = cast(ZfsClient, alpha), cast(ZfsClient, beta)
    await destroy_vanished(OLD.name, job, guest, storages, here, there, 0.0, lambda level, text: None)
    return beta


async def test_a_persons_order_destroys_it_behind_the_fence_of_the_guest() -> None:
    beta = await destroy(dataset(snap(5), name="tank/vm-100-disk-0"))
    assert beta.destroyed == [(OLD.name, Fence(JOB, "alpha", 4))]


async def test_a_persons_order_is_refused_where_a_renamed_volume_would_go_on_with_it() -> None:
    with pytest.raises(ConfigError, match="is not a replica of job 100-1 whose volume is gone"):
        await destroy(dataset(snap(1), name="tank/vm-100-disk-0"))
