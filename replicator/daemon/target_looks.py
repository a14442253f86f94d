"""Looks at targets that run no zsr: what their own daemon would report, asked over this node's connection to them.

A look that fails leaves nothing known of its target, never a zero. Looking never changes anything.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from replicator.api.held import TargetLook
from replicator.cluster.model import Cluster
from replicator.daemon.held_replicas import held_replicas, replicas_in
from replicator.daemon.kept_aside import count_diverged, kept_aside
from replicator.daemon.local_inventory import by_path, owned_by
from replicator.daemon.pool_usage import pool_roles, pool_spaces, storage_roles
from replicator.errors import NetworkError, StorageMissingError, ZsrError
from replicator.models import Job
from replicator.zfs.client import ZfsClient
from replicator.zfs.dataset_names import LEVELS
from replicator.zfs.model import Inventory
from replicator.zfs.node_clients import Nodes

_log = logging.getLogger("zsr.daemon")

LOOK_INTERVAL_SECONDS = 300.0
"""Seconds between two looks at one target: half of the time after which ZsrReplicaStale asks what it holds."""


class TargetLooks:
    """Looks at each such target once per interval; ``found`` has the results of those whose last look succeeded."""

    def __init__(self, nodes: Nodes, here: str) -> None:
        self.found: dict[str, TargetLook] = {}
        self._nodes = nodes
        self._here = here

    async def keep_looking(self, cluster: Callable[[], Cluster], jobs: Callable[[], Sequence[Job]]) -> None:
        """Look again and again, until cancelled; the jobs are those of this node."""
        while True:
            await self.look(cluster(), jobs())
            await asyncio.sleep(LOOK_INTERVAL_SECONDS)

    async def look(self, cluster: Cluster, jobs: Sequence[Job]) -> None:
        """Look at each target of these jobs that runs no zsr."""
        wanted = watched_targets(cluster, jobs, self._here)
        self.found = {node: look for node, look in self.found.items() if node in wanted}
        async with asyncio.TaskGroup() as group:  # a slow one does not keep the others waiting
            for node in wanted:
                group.create_task(self._look_at(cluster, node))

    async def _look_at(self, cluster: Cluster, node: str) -> None:
        try:
            self.found[node] = await look_at_target(cluster, self._here, self._nodes.client(node))
        except ZsrError as error:
            self.found.pop(node, None)
            if isinstance(error, NetworkError):
                self._nodes.mark_unreachable(node)
            _log.warning("Could not look at target %s, which runs no zsr: %s", node, error)
        except Exception:  # noqa: BLE001 - a task's outermost frame: the other targets are looked at all the same
            self.found.pop(node, None)
            _log.exception("Could not look at target %s (class internal).", node)


def watched_targets(cluster: Cluster, jobs: Sequence[Job], here: str) -> set[str]:
    """Return the targets of a node's jobs that run no zsr of their own. Pure."""
    targets = {job.target for job in jobs} - {here}
    return {name for name in targets if (node := cluster.nodes.get(name)) is not None and not node.zsr}


async def look_at_target(cluster: Cluster, here: str, target: ZfsClient) -> TargetLook:
    """List each storage of a target once, and its pools; raises ZsrError if any of it cannot be read.

    A storage that does not exist there holds nothing, as on a node that looks at itself.
    """
    inventories: dict[str, Inventory] = {}
    for storage in cluster.storages.values():
        if storage.allowed_on(target.node):
            try:
                inventories[storage.name] = await target.inventory(storage.path_on(target.node), depth=LEVELS)
            except StorageMissingError:
                continue
    roles = storage_roles(cluster, target.node)
    pools = pool_roles(roles, cluster.storages, target.node)
    space = await target.space(list(pools)) if pools else {}
    # In a thread: the work grows with the volumes there, and must not hold up the event loop.
    look = await asyncio.to_thread(_conclude, cluster, here, target.node, inventories)
    return replace(look, pools=pool_spaces(pools, space))


def _conclude(cluster: Cluster, here: str, target: str, inventories: Mapping[str, Inventory]) -> TargetLook:
    """Return what counts for this node: its own guests, and those that the cluster has no more. Pure."""
    others = {guest.id for guest in cluster.guests.values() if guest.node != here}
    held = held_replicas(replicas_in(owned_by(cluster, target, inventories)))
    asides = kept_aside(by_path(cluster, target, inventories), cluster.jobs, target)
    diverged = count_diverged(asides, cluster.jobs.values(), target, all_read=True)
    return TargetLook(
        tuple(each for each in held if each.guest not in others),
        {guest: count for guest, count in diverged.items() if guest not in others},
    )
