"""What the daemon knows of its surroundings: its own ZFS and the other nodes' clocks, asked on slow timers.

Whoever shows it (metrics, readiness) reads what was found last and asks nothing himself.
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
"""Seconds between two looks for clocks that are to be compared; see `Nodes.compare_clocks` for how often each is."""


class NodeMonitor:
    """What was found last: ``local_inventory``, ``zfs_version`` (None: not known yet) and ``problems`` of this node's
    ZFS.
    """

    def __init__(self, nodes: Nodes, here: str, state: State) -> None:
        self.local_inventory = LocalInventory()
        self.zfs_version: str | None = None
        self.problems: tuple[str, ...] = ("The ZFS of this node has not answered yet.",)
        self._nodes = nodes
        self._here = here
        self._state = state

    async def look(self, cluster: Callable[[], Cluster], jobs: Callable[[], Sequence[Job]]) -> None:
        """Ask this node's ZFS about all guests, for ever; the jobs are those of this node."""
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
            except Exception as error:  # noqa: BLE001 - a task's outermost frame: a look is no reason to stop replicating
                _log.exception("the look at this node's ZFS ended (class internal); it is tried again")
                self.problems = (f"Unexpected {type(error).__name__} while this node's ZFS was looked at.",)
            for problem in self.problems:
                _log.warning("ZFS of this node could not be asked: %s", problem)
            await asyncio.sleep(INVENTORY_INTERVAL_SECONDS)

    async def compare_clocks(self) -> None:
        """Compare the clocks of nodes that answer with this one's, for ever."""
        while True:
            await asyncio.sleep(CLOCK_CHECK_INTERVAL_SECONDS)
            try:
                await self._nodes.compare_clocks()
            except Exception:  # noqa: BLE001 - a task's outermost frame
                _log.exception("the clocks could not be compared (class internal); it is tried again")
