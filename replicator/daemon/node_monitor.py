"""Background checks of the local ZFS, of the other nodes' clocks, and of targets that run no zsr.

Readers (metrics, readiness) get the last result; reading never starts a check.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from replicator.api.moves import GuestMoves
from replicator.cluster.model import Cluster
from replicator.daemon.local_inventory import LocalInventory, take_inventory
from replicator.daemon.restore_point_watch import RestorePointWatch
from replicator.daemon.target_looks import TargetLooks
from replicator.errors import ZsrError
from replicator.models import Job
from replicator.state.stores import State
from replicator.zfs.node_clients import Nodes

_log = logging.getLogger("zsr.daemon")

INVENTORY_INTERVAL_SECONDS = 60.0
INVENTORY_SHARE = 3.0
"""How many times as long as an inventory took nothing is listed after it: it must not keep the pools busy."""
LONGEST_PAUSE_SECONDS = 600.0
"""An inventory older than a quarter of an hour counts as one that hangs (ZsrZfsUnreadable)."""
CLOCK_CHECK_INTERVAL_SECONDS = 60.0
"""Seconds between two searches for clocks to compare; see `Nodes.compare_clocks` for how often each is compared."""


def pause_after(took: float) -> float:
    """Return the seconds from the end of an inventory to the next one; ``took``: its own seconds."""
    return min(max(INVENTORY_INTERVAL_SECONDS, took * INVENTORY_SHARE), LONGEST_PAUSE_SECONDS)


class NodeMonitor:
    """Holds the last results.

    Attributes:
        local_inventory, problems: of the last look at this node's ZFS.
        zfs_version: None: not known yet.
        looked_at: when all of this node's ZFS was last read (unix time, by ``clock``); None: not yet.
        moves: of guests that were moved from this node, or recovered on it.
        targets: the looks at targets that run no zsr.
    """

    def __init__(self, nodes: Nodes, here: str, state: State, clock: Callable[[], float] = time.time) -> None:
        self.local_inventory = LocalInventory()
        self.zfs_version: str | None = None
        self.problems: tuple[str, ...] = ("The ZFS of this node has not answered yet.",)
        self.looked_at: float | None = None
        self.moves: tuple[GuestMoves, ...] = ()
        self.targets = TargetLooks(nodes, here)
        self._nodes = nodes
        self._here = here
        self._state = state
        self._clock = clock
        self._points = RestorePointWatch(state.plugin_store("restore-points"))

    async def keep_inventory(self, cluster: Callable[[], Cluster], jobs: Callable[[], Sequence[Job]]) -> None:
        """Take the inventory of the local ZFS again and again, until cancelled; the jobs are those of this node."""
        client = self._nodes.client(self._here)
        while True:
            begin = time.monotonic()
            try:
                if self.zfs_version is None:
                    self.zfs_version = (await client.features()).version
                await self._note(await take_inventory(cluster(), jobs(), client))
                await asyncio.to_thread(self._state.jobs.set_unreplicated, self.local_inventory.unreplicated)
                self.moves = await asyncio.to_thread(self._state.moves.all)
            except ZsrError as error:
                self.problems = (str(error),)
            except Exception as error:  # noqa: BLE001 - a task's outermost frame: replication goes on without it
                _log.exception("The inventory of this node's ZFS failed (class internal); it is repeated.")
                self.problems = (f"Unexpected {type(error).__name__} during the inventory of this node's ZFS.",)
            for problem in self.problems:
                _log.warning("Could not read the ZFS of this node: %s", problem)
            took = time.monotonic() - begin
            if took > INVENTORY_INTERVAL_SECONDS:
                slow = "The inventory of this node's ZFS took %.0f s, longer than its period; the next is in %.0f s."
                _log.warning(slow, took, pause_after(took))
            await asyncio.sleep(pause_after(took))

    async def _note(self, found: LocalInventory) -> None:
        """Take over an inventory; without ``state.db`` too, though it then says nothing new of restore points."""
        self.problems = found.problems
        if not self.problems:
            self.looked_at = self._clock()
        try:
            await asyncio.to_thread(self._points.look, found.sights, self._clock(), all_read=not found.problems)
        finally:
            replicas = self._points.with_missing(found.replicas, found.sights)
            self.local_inventory = replace(found, replicas=replicas)

    def last_looks(self) -> dict[str, float]:
        """Return when each node's ZFS was last listed (unix time): this node's all of it."""
        others = {node: time for node, time in self._nodes.inventoried.items() if node != self._here}
        return others if self.looked_at is None else {**others, self._here: self.looked_at}

    async def compare_clocks(self) -> None:
        """Compare the clocks of nodes that answer with this one's, until cancelled."""
        while True:
            await asyncio.sleep(CLOCK_CHECK_INTERVAL_SECONDS)
            try:
                await self._nodes.compare_clocks()
            except Exception:  # noqa: BLE001 - a task's outermost frame
                _log.exception("Could not compare the clocks of the nodes (class internal); it is tried again.")
