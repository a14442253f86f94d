"""Removal of a job whose replica has a half-received state."""

from __future__ import annotations

from typing import cast

import pytest

from replicator.models import Job, Removal, Storage
from replicator.replication.progress import Progress
from replicator.replication.removal import remove
from replicator.zfs.client import ZfsClient
from replicator.zfs.model import Dataset, Inventory, Snapshot
from tests.support.volumes import JOB, dataset, snap

NAME = "pool/vm-100-disk-0"


class Node:
    """A node that notes what it is told to drop and to destroy; ``has_state``: there is a state to drop."""

    def __init__(self, node: str, *found: Dataset, has_state: bool = True) -> None:
        self.node = node
        self.orders: list[str] = []
        self._found = Inventory({each.name: each for each in found})
        self._has_state = has_state

    async def inventory(self, path: str, *, depth: int, bookmarks: bool) -> Inventory:
        return self._found

    async def abort_receive(self, name: str) -> bool:
        self.orders.append(f"drop {name}")
        return self._has_state

    async def destroy_replica(self, name: str, job: str, source: str) -> None:
        self.orders.append(f"destroy {name}")


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
    await remove(job, [Storage("data", "pool")], alpha, beta, Progress(), lambda level, text: None, 0.0)
    assert target.orders == orders
