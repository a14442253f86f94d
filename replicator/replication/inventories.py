"""The inventories of both sides that a run works with: of the source, of the target, paired, or from the cache."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from replicator.errors import ConnectionLostError, DeadlineError, StorageMissingError
from replicator.models import Storage
from replicator.replication.context import RunContext
from replicator.replication.discovery import (
    Discovered,
    TargetInventory,
    guest_inventory,
    guest_storages,
    pair_volumes,
    selections,
    source_inventory,
    target_inventory,
    target_storages,
)
from replicator.zfs.client import ZfsClient
from replicator.zfs.model import Dataset, Inventory


@dataclass(frozen=True, slots=True)
class CachedPairs:
    """Both sides from the cache; all that was written before the moment ``at`` (unix seconds) is in them."""

    discovered: Discovered
    on_target: TargetInventory
    at: float


class Inventories:
    """Reads the storages of one run's guest on the source and on the target.

    Attributes:
        unread: the paths on the target that did not exist when they were last read: nothing is known of what is there.
    """

    def __init__(self, context: RunContext, source: ZfsClient, target: ZfsClient, clock: Callable[[], float]) -> None:
        self._context = context
        self._source = source
        self._target = target
        self._clock = clock
        self.unread: tuple[str, ...] = ()

    async def on_source(self) -> Inventory:
        """Return the guest's storages on the source, synced first where ZFS counts written bytes late."""
        guest, storages = self._context.guest, self._context.storages
        if (await self._source.features()).programs:
            for pool in selections(guest, storages, self._source.node):
                await self._source.sync(pool)
        return await source_inventory(guest, storages, self._source)

    async def on_target(self, *, as_remembered: bool = False) -> TargetInventory:
        """Return the guest's rows of its storages on the target; a lost connection is made again once.

        ``as_remembered``: they are sought first where the last run left them, with one command less.
        """
        try:
            found = await self._read_target(as_remembered=as_remembered)
        except ConnectionLostError:  # it was open since the last run, and the node has been restarted
            found = await self._read_target(as_remembered=as_remembered)
        paths = {storage.name: storage.path_on(self._target.node) for storage in self._context.storages}
        absent = [name for name, each in found.inventories.items() if isinstance(each, StorageMissingError)]
        self.unread = tuple(paths[name] for name in absent)
        return found

    async def _read_target(self, *, as_remembered: bool) -> TargetInventory:
        context, storages = self._context, self._target_storages()
        if not (await self._target.features()).list_parsable:
            return await target_inventory(storages, self._target)
        remembered = (context.remembered.sets.volumes, context.vanished) if as_remembered else None
        return await guest_inventory(context.guest, storages, self._target, remembered)

    def _target_storages(self) -> list[Storage]:
        context, nodes = self._context, (self._source.node, self._target.node)
        return target_storages(
            context.guest, context.storages, nodes, context.remembered.sets.volumes, context.vanished
        )

    async def datasets_on_target(self) -> dict[str, Dataset]:
        """Return all datasets of the target's storages by name."""
        inventories = (await self.on_target()).inventories.values()
        found = [inventory for inventory in inventories if isinstance(inventory, Inventory)]
        return {name: dataset for inventory in found for name, dataset in inventory.datasets.items()}

    def pair(self, on_source: Inventory, on_target: TargetInventory) -> Discovered:
        """Return the guest's volumes with their replicas; raises as `discovery.pair_volumes`."""
        nodes = (self._source.node, self._target.node)
        context = self._context
        return pair_volumes(context.job, context.guest, context.storages, nodes, on_source, on_target)

    async def from_cache(self) -> CachedPairs | None:
        """Return both sides from the cache that runs due together share; None where this run has to look itself.

        So it has where a whole storage cannot be listed in time, which its guest's rows may well be.
        """
        try:
            return await self._from_cache()
        except DeadlineError:
            return None

    async def _from_cache(self) -> CachedPairs | None:
        cache, due = self._context.inventory_cache, self._context.due
        if cache is None or self._context.last_run_failed or not (await self._source.features()).programs:
            return None
        here, there = self._source.node, self._target.node
        own = guest_storages(self._context.guest, self._context.storages, here)
        left = self._target_storages()
        places = [*((here, each.path_on(here)) for each in own), *((there, each.path_on(there)) for each in left)]
        if not all(each.allowed_on(there) for each in own) or any(cache.is_too_slow(*place) for place in places):
            return None
        ours: dict[str, Dataset] = {}
        theirs: dict[str, Inventory | StorageMissingError] = {}
        at = self._clock()
        for storage in own:
            listed = await cache.read(self._source, storage.path_on(here), since=due, sync=True)
            if listed.inventory is None:
                return None
            ours |= listed.inventory.datasets
            at = min(at, listed.at)
        for storage in left:
            listed = await cache.read(self._target, storage.path_on(there), since=due, sync=False)
            if listed.inventory is None:
                return None
            theirs[storage.name] = listed.inventory
        on_target = TargetInventory(theirs)
        return CachedPairs(self.pair(Inventory(ours), on_target), on_target, at)
