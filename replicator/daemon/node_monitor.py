"""Background checks of the local ZFS and of the other nodes' clocks.

Readers (metrics, readiness) get the last result; reading never starts a check.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from replicator.cluster.model import Cluster
from replicator.daemon.local_inventory import LocalInventory, take_inventory
from replicator.errors import ZsrError
from replicator.models import Job
from replicator.state.stores import State
from replicator.zfs.node_clients import Nodes

_log = logging.getLogger("zsr.daemon")

INVENTORY_INTERVAL_SECONDS = 60.0
CLOCK_CHECK_INTERVAL_SECONDS = 60.0
"""Seconds between two searches for clocks to compare; see `Nodes.compare_clocks` for how often each is compared."""


class NodeMonitor:
    """Holds the last results: ``local_inventory``, ``zfs_version`` (None: not known yet) and ``problems``."""

    def __init__(self, nodes: Nodes, here: str, state: State) -> None:
        self.local_inventory = LocalInventory()
        self.zfs_version: str | None = None
        self.problems: tuple[str, ...] = ("The ZFS of this node has not answered yet.",)
        self._nodes = nodes
        self._here = here
        self._state = state

    async def keep_inventory(self, cluster: Callable[[], Cluster], jobs: Callable[[], Sequence[Job]]) -> None:
        """Take the inventory of the local ZFS again and again, until cancelled; the jobs are those of this node."""
        client = self._nodes.client(self._here)
        while True:
            try:
                if self.zfs_version is None:
                    self.zfs_version = (await client.features()).version
                self.local_inventory = await take_inventory(cluster(), jobs(), client)
                self.problems = self.local_inventory.problems
                await asyncio.to_thread(self._state.jobs.set_unreplicated, self.local_inventory.unreplicated)
            except ZsrError as error:
                self.problems = (str(error),)
            except Exception as error:  # noqa: BLE001 - a task's outermost frame: replication goes on without it
                _log.exception("The inventory of this node's ZFS failed (class internal); it is repeated.")
                self.problems = (f"Unexpected {type(error).__name__} during the inventory of this node's ZFS.",)
            for problem in self.problems:
                _log.warning("Could not read the ZFS of this node: %s", problem)
            await asyncio.sleep(INVENTORY_INTERVAL_SECONDS)

    async def compare_clocks(self) -> None:
        """Compare the clocks of nodes that answer with this one's, until cancelled."""
        while True:
            await asyncio.sleep(CLOCK_CHECK_INTERVAL_SECONDS)
            try:
                await self._nodes.compare_clocks()
            except Exception:  # noqa: BLE001 - a task's outermost frame
                _log.exception("Could not compare the clocks of the nodes (class internal); it is tried again.")
