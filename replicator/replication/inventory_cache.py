"""One look for many: inventories of whole storages that runs which are due together share for a few seconds.

So a hundred guests that are due together, with nothing changed, cost one command a side. Only "nothing changed" is ever
concluded from a shared look, and claimed for its moment; whoever has something to send looks for himself.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from replicator.errors import StorageMissingError
from replicator.zfs.client import ZfsClient
from replicator.zfs.model import Inventory

CACHE_SECONDS = 30.0
"""Seconds for which a look is shared; a claim made from it is at most so much older than its run."""


@dataclass(frozen=True, slots=True)
class CachedInventory:
    """What a storage held at a moment (unix seconds): all that was written before is in it. None: there is none."""

    inventory: Inventory | None
    at: float


class InventoryCache:
    """Looks at storages for several runs at once. ``clock`` tells unix time, ``steady`` a time that never jumps."""

    def __init__(self, clock: Callable[[], float], steady: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._steady = steady
        self._seen: dict[tuple[str, str, int], tuple[float, CachedInventory]] = {}
        self._looking: defaultdict[tuple[str, str, int], asyncio.Lock] = defaultdict(asyncio.Lock)

    async def look(self, client: ZfsClient, path: str, depth: int, *, since: float, sync: bool) -> CachedInventory:
        """What is below a path on a node.

        Args:
            client: the node.
            path: a storage's path there.
            depth: how deep to look.
            since: a look from before this moment (unix seconds) does not do.
            sync: sync the pool first, so that written bytes are counted to the last one.

        Raises:
            ZsrError: the node could not be asked.
        """
        key = (client.node, path, depth)
        async with self._looking[key]:
            taken, seen = self._seen.get(key, (float("-inf"), CachedInventory(None, 0.0)))
            if seen.at < since or not 0 <= self._steady() - taken < CACHE_SECONDS:
                taken, at = self._steady(), self._clock()
                if sync:
                    await client.sync(path.partition("/")[0])
                try:
                    seen = CachedInventory(await client.inventory(path, depth=depth), at)
                except StorageMissingError:
                    seen = CachedInventory(None, at)
                self._seen[key] = (taken, seen)
            return seen

    def has_fresh(self, node: str, since: float) -> bool:
        """Whether something of a node was seen a moment ago, and not before a moment (unix seconds)."""
        now = self._steady()
        return any(
            key[0] == node and 0 <= now - taken < CACHE_SECONDS and seen.at >= since
            for key, (taken, seen) in self._seen.items()
        )
