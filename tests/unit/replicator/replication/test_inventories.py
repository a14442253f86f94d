"""The inventories of a run: a storage that is not there is one of which nothing is known."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import cast

from replicator.errors import StorageMissingError
from replicator.models import Guest, Job, Storage, Synced
from replicator.replication.context import RunContext
from replicator.replication.inventories import Inventories
from replicator.zfs.client import ZfsClient
from replicator.zfs.model import Inventory
from tests.support.volumes import JOB


class Target:
    """A node on which one path is absent."""

    node = "beta"

    def __init__(self, absent: str) -> None:
        self.absent = absent

    async def features(self) -> SimpleNamespace:
        return SimpleNamespace(list_parsable=True)

    async def inventory(self, path: str, *, depth: int, snapshots: bool, also: Sequence[str]) -> Inventory:
        if path == self.absent:
            raise StorageMissingError(f"'{path}' does not exist.")
        return Inventory()


async def test_a_path_that_is_absent_on_the_target_is_named_until_it_is_back() -> None:
    storages = (Storage("ssd", "tank", paths=(("beta", "pool"),)), Storage("hdd", "slow"))
    context = RunContext(Job(JOB, "beta"), Guest(100, "web", "alpha"), storages, 60.0, Synced(), last_run_failed=False)
    target = Target("pool")
    client = cast(ZfsClient, target)
    inventories = Inventories(context, client, client, lambda: 0.0)
    await inventories.on_target()
    assert list(inventories.unread) == ["pool"]
    target.absent = ""
    await inventories.on_target()
    assert list(inventories.unread) == []
