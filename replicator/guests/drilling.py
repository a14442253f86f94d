"""Does drills on this node and records them, for the daemon and for a person: one call for a guest on a target."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from replicator.cluster.model import Cluster
from replicator.errors import ConfigError
from replicator.events import GuestDrilled
from replicator.guests.drill import Drill, DrillEnd
from replicator.guests.drill_clones import DrillClones
from replicator.models import Guest, Job, KnownSets
from replicator.replication.progress import Log
from replicator.state.drills import KnownDrill
from replicator.state.guest_locks import drill_lock
from replicator.state.stores import State
from replicator.zfs.node_clients import Nodes


@dataclass(frozen=True, slots=True)
class Driller:
    """The drills of the guests of node ``here``.

    Attributes:
        state: records them.
        locks: the folder of the guests' locks.
        nodes: connections to the targets.
        clock: returns unix time; ``timer`` returns seconds, which no change of the clock moves.
    """

    here: str
    state: State
    locks: Path
    nodes: Nodes
    clock: Callable[[], float]
    timer: Callable[[], float]

    async def drill(self, cluster: Cluster, job: Job, log: Log) -> tuple[GuestDrilled, DrillEnd]:
        """Drill the guest of a job on its target, and record the end.

        Raises:
            BusyError: a drill of the guest goes on already. ConfigError: the guest is not on this node.
            CancelledError: it was cancelled; nothing is recorded but that clones may be there.
        """
        guest = own_guest(cluster, job, self.here)
        with drill_lock(self.locks, guest.id):
            began = self.timer()
            end = await (await self._drill(cluster, guest, job, log)).execute()
            if not end.left:
                await asyncio.to_thread(self.state.drills.closed, guest.id, job.target)
            event = GuestDrilled(
                self.clock(), job.id, job.target, end.result, end.message, end.set_time, self.timer() - began
            )
            await asyncio.to_thread(self.state.drills.record, event)
            return event, end

    async def _drill(self, cluster: Cluster, guest: Guest, job: Job, log: Log) -> Drill:
        known = await asyncio.to_thread(self.state.jobs.get, job.id)

        async def opening() -> None:
            await asyncio.to_thread(self.state.drills.opening, job.id, job.target, self.clock())

        return Drill(
            job=job,
            guest=guest,
            source=self.here,
            storages=tuple(cluster.storages.values()),
            target=self.nodes.client(job.target),
            last_set=None if known is None else known.synced.last_set,
            known=KnownSets() if known is None else known.synced.sets,
            log=log,
            clock=self.timer,
            opening=opening,
        )

    async def tidy(self, cluster: Cluster, left: KnownDrill) -> int:
        """Destroy the clones that a drill left which was killed, and those that were in use; return how many.

        Raises:
            BusyError: a drill of the guest goes on. ZsrError: the target cannot be asked, or one is still in use.
        """
        with drill_lock(self.locks, left.guest):
            storages = tuple(cluster.storages.values())
            gone = await DrillClones(left.job, self.here, storages, self.nodes.client(left.node)).destroy()
            await asyncio.to_thread(self.state.drills.closed, left.guest, left.node)
            return len(gone)


def own_guest(cluster: Cluster, job: Job, here: str) -> Guest:
    """Return the guest of a job; raises ConfigError unless node ``here`` owns it."""
    guest = cluster.guests.get(job.id.guest)
    if guest is None or guest.node != here:
        where = "not in the cluster file" if guest is None else f"on {guest.node}"
        raise ConfigError(f"Guest {job.id.guest} is {where}; its drills are done by the node that owns it.")
    return guest
