"""Cache of storage inventories, shared for a few seconds by runs that are due together.

A hundred guests that are due together, with nothing changed, so cost one command a side. Only "nothing changed" is ever
concluded from the cache, for the moment of the inventory; a run that has something to send lists both sides itself.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from replicator.errors import DeadlineError, StorageMissingError
from replicator.zfs.client import ZfsClient
from replicator.zfs.dataset_names import LEVELS
from replicator.zfs.model import Inventory, pool_of

SLOW_SECONDS = 3600.0
"""Seconds for which a storage that could not be listed in time is not listed for this again."""

CACHE_SECONDS = 30.0
"""Seconds for which an inventory is shared; a last sync concluded from it is at most so much older than its run."""


@dataclass(frozen=True, slots=True)
class CachedInventory:
    """What a storage holds (None: it does not exist); all that was written before ``at`` (unix seconds) is in it."""

    inventory: Inventory | None
    at: float


class InventoryCache:
    """Lists storages once for several runs. ``clock`` returns unix time, ``steady`` a time that never jumps."""

    def __init__(self, clock: Callable[[], float], steady: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._steady = steady
        self._cached: dict[tuple[str, str], tuple[float, CachedInventory]] = {}
        self._slow: dict[tuple[str, str], float] = {}
        self._locks: defaultdict[tuple[str, str], asyncio.Lock] = defaultdict(asyncio.Lock)

    async def read(self, client: ZfsClient, path: str, *, since: float, sync: bool) -> CachedInventory:
        """Return what is below a path on a node.

        Args:
            client: the node.
            path: a storage's path there.
            since: an inventory from before this moment (unix seconds) is not used.
            sync: sync the pool first, so that written bytes are counted to the last one.

        Raises:
            ZsrError: the node could not be asked; nothing is cached then.
        """
        key = (client.node, path)
        async with self._locks[key]:
            read_at, cached = self._cached.get(key, (float("-inf"), CachedInventory(None, 0.0)))
            if cached.at < since or not 0 <= self._steady() - read_at < CACHE_SECONDS:
                read_at, at = self._steady(), self._clock()
                if sync:
                    await client.sync(pool_of(path))
                try:
                    cached = CachedInventory(await client.inventory(path, depth=LEVELS), at)
                except StorageMissingError:
                    cached = CachedInventory(None, at)
                except DeadlineError:
                    self._slow[client.node, path] = self._steady()
                    raise
                self._cached[key] = (read_at, cached)
            return cached

    def is_too_slow(self, node: str, path: str) -> bool:
        """Return whether listing all of a storage took too long lately; a run lists its guest's rows then."""
        return self._steady() - self._slow.get((node, path), float("-inf")) < SLOW_SECONDS

    def forget(self, node: str) -> None:
        """Forget the inventories of a node, where a run made a replica another job's: they would show it as it was."""
        for key in [key for key in self._cached if key[0] == node]:
            del self._cached[key]

    def has_fresh(self, node: str, since: float) -> bool:
        """Return whether the cache has an inventory of a node from after a moment (unix seconds)."""
        now = self._steady()
        return any(
            key[0] == node and 0 <= now - read_at < CACHE_SECONDS and cached.at >= since
            for key, (read_at, cached) in self._cached.items()
        )
