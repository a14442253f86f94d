"""Let volumes that moved here go on with the replicas that they had: look for them, and take them over.

The look goes beyond the guest's own storages only when a volume would be sent in full. A replica of another job first
gets this job's marks, in one transaction that compares all that was decided about; then it is renamed. So a run that
dies in between leaves a replica of this job without a volume, which the next one continues. The guest of the other job
is locked meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

from replicator.errors import BusyError, StorageMissingError, ZsrError
from replicator.models import GuestId, Synced
from replicator.replication.context import OtherJobs, RunContext
from replicator.replication.discovery import Discovered, TargetInventory
from replicator.replication.grace_ends import source_pools
from replicator.replication.moved_volumes import (
    MovedVolume,
    accepted,
    bears_others_stamps,
    candidates,
    fence_of,
    inherited,
    match,
    plan_of_moved,
    still_continued,
    wants_replica,
    with_taken,
    words,
)
from replicator.replication.plan import Full, Incremental, make_plan
from replicator.replication.prepare_target import prepare
from replicator.replication.progress import Log
from replicator.replication.provenance import Direction
from replicator.replication.stamps import confirmed, others_on_target, unstamped
from replicator.replication.streams import replica_properties
from replicator.replication.trees import Rename
from replicator.zfs.client import ZfsClient
from replicator.zfs.dataset_names import LEVELS
from replicator.zfs.mark_changes import MarkChange, give_to_job
from replicator.zfs.model import Inventory

LOCK_SECONDS, LOCK_SECONDS_HIGHER = 10.0, 25.0
"""Seconds for which the lock of another guest is waited for, and of one with a higher number.

Of two runs that want each other's guest one gives up first, and the other one goes on.
"""


@dataclass(slots=True)
class TakeOver:
    """Finds the replicas that volumes of one run continue, and takes them over.

    Attributes:
        is_done: it has looked.
        keeps: what the jobs from which it took replicas wanted to keep of them; that counts for this job's grace too.
    """

    context: RunContext
    source: ZfsClient
    target: ZfsClient
    log: Log
    clock: Callable[[], float]
    is_done: bool = False
    keeps: tuple[str, ...] = ()

    @property
    def wanted(self) -> tuple[str, ...]:
        """What was wanted lately besides the job's ``keep``: by itself, and by the jobs whose replicas it continues."""
        return (*self.context.former_keeps, *self.keeps)

    async def go_on(
        self,
        way: Direction,
        found: Discovered,
        on_target: TargetInventory,
        synced: Synced,
        remember: Callable[[Synced], Awaitable[None]],
    ) -> bool:
        """Take over the replicas that volumes continue, once in a run; return whether there were any.

        What the job gets with them is remembered before; it is added to ``synced``.

        Raises:
            BusyError: another run has a guest or a replica; nothing was changed.
            ZsrError: a side could not be listed, or a replica not taken over; the next run goes on.
        """
        if self.is_done:
            return False
        self.is_done = True
        await self._restamp(way, found)
        moved = await self.look(way, found, on_target)
        if moved:
            await remember(await self.remembered(way, synced, moved))
            await self._inherit(moved)
            await self._take(way, found, moved)
            if self.context.inventory_cache is not None:
                self.context.inventory_cache.forget(self.target.node)
        return bool(moved)

    async def keeps_of(self, moved: Sequence[MovedVolume]) -> tuple[str, ...]:
        """Return what the jobs of replicas wanted to keep: a job that keeps less must not destroy the rest at once."""
        others, found = self.context.others, dict[str, None]()
        for each in moved:
            if others is not None and each.job != self.context.job.id:
                found |= dict.fromkeys(await others.keeps(each.job))
        return tuple(text for text in found if text != self.context.job.keep)

    async def _inherit(self, moved: Sequence[MovedVolume]) -> None:
        """Record what the other jobs wanted to keep, before anything is taken over."""
        self.keeps = await self.keeps_of(moved)
        if self.keeps and self.context.others is not None:
            await self.context.others.inherit(self.context.job, self.keeps, self.clock())

    async def _restamp(self, way: Direction, found: Discovered) -> None:
        """Stamp those volumes of the source that moved here with another guest's stamps: they would refuse the run."""
        others, storages, fence = self.context.others, self.context.storages, self.context.fence
        sources = [pair.source for pair in found.volumes]
        came = [each for each in sources if bears_others_stamps(way, others, storages, each)]
        await self.source.stamp(fence, unstamped(fence, came))

    async def look(self, way: Direction, found: Discovered, on_target: TargetInventory) -> list[MovedVolume]:
        """Return the volumes that would be sent in full, and that continue a replica which lies elsewhere.

        Raises:
            ZsrError: the target could not be listed.
        """
        others = self.context.others
        plan = make_plan(way, found.volumes, found.orphans, found.diverged)
        wanting = wants_replica(plan)
        if others is None or not wanting:
            return []
        everywhere = await self._whole_target(on_target)
        paths = {storage.name: storage.path_on(way.target) for storage in self.context.storages}
        by_path = {paths[name]: each for name, each in everywhere.inventories.items() if isinstance(each, Inventory)}
        moved = match(wanting, candidates(way, others, by_path))
        if not moved:
            return []
        try:
            here = await source_pools(self.context.storages, self.source)
        except ZsrError as error:
            self.log("warning", f"volumes are sent in full, since it is not known whether they moved: {error.what}")
            return []
        left = [each for each in moved if self._is_free(others, way, each, here)]
        left = [each for each in left if await self._passes(others, way, each, everywhere)]
        return accepted(way, self.context.job, found, left)

    async def _whole_target(self, on_target: TargetInventory) -> TargetInventory:
        """Return the inventories of all storages on the target; those that it does not have are left out."""
        context, listed = self.context, {} if on_target.guests_only else dict(on_target.inventories)
        for storage in context.storages:
            if storage.name in listed or not storage.allowed_on(self.target.node):
                continue
            try:
                listed[storage.name] = await self.target.inventory(storage.path_on(self.target.node), depth=LEVELS)
            except StorageMissingError as error:
                listed[storage.name] = error
        return TargetInventory(listed)

    def _is_free(self, others: OtherJobs, way: Direction, moved: MovedVolume, here: Inventory) -> bool:
        still = still_continued(way, others, self.context.storages, moved, here)
        if still is not None:
            what = f"{moved.pair.volume} has snapshots in common with '{moved.replica.name}' of job {moved.job}"
            self.log("info", f"{what}, which '{still}' continues: it is sent in full")
        return still is None

    async def _passes(self, others: OtherJobs, way: Direction, moved: MovedVolume, everywhere: TargetInventory) -> bool:
        """Return whether the replica, and all else of its guest on the target, passes that guest's fence."""
        if moved.job == way.job:
            return True
        fence = fence_of(others, moved.job, way.source)
        old = Direction(moved.job, way.source, way.target)
        theirs = others_on_target(old, everywhere, self.context.storages)
        refused = await confirmed(fence, self.target, [moved.replica])
        return not refused and not await confirmed(fence, self.target, theirs, later_only=True)

    async def remembered(self, way: Direction, synced: Synced, moved: Sequence[MovedVolume]) -> Synced:
        """Return what is to be remembered of the snapshots on the replicas, before they are taken over."""
        for each in moved:
            if self.context.others is not None and each.job != way.job:
                synced = inherited(way, synced, each, await self.context.others.known(each.job))
        return synced

    async def _take(self, way: Direction, found: Discovered, moved: Sequence[MovedVolume]) -> None:
        """Make the replicas this job's, and give them the names of their volumes."""
        others = self.context.others
        if others is None:
            return
        with ExitStack() as locks:
            for guest in sorted({each.job.guest for each in moved} - {way.job.guest}):
                await self._lock(locks, others, way, guest)
            for each in moved:
                self.log("info", words(each, way.job))
                if each.job != way.job:
                    await others.ended(each.job, each.replica.guid)
                    old = fence_of(others, each.job, way.source)
                    await give_to_job(self.target, MarkChange(each.replica, old, self.context.fence))
            after = with_taken(way, found, moved)
            missing = [f"{pair.target_name}/" for pair in after.volumes if pair.target is None]
            for action in plan_of_moved(way, after).actions:
                if action.pair.target_name.startswith(tuple(missing)):
                    continue  # the one above it comes first; the transfer renames it
                await self._rename(action)
                if any(isinstance(step, Rename) for step in action.preparations):
                    missing = [each for each in missing if each != f"{action.pair.target_name}/"]

    async def _lock(self, locks: ExitStack, others: OtherJobs, way: Direction, guest: GuestId) -> None:
        left = LOCK_SECONDS_HIGHER if guest > way.job.guest else LOCK_SECONDS
        while True:
            try:
                locks.enter_context(others.lock(guest))
            except BusyError as error:
                if left <= 0:
                    raise BusyError(
                        f"A volume moved here from guest {guest}, whose replica it continues, and that guest is locked "
                        "by another run, move, removal or thaw.",
                        advice="The volume is not sent in full. The next run tries again.",
                    ) from error
                left -= 1.0
                await asyncio.sleep(1.0)
            else:
                return

    async def _rename(self, action: Full | Incremental) -> None:
        """Do the preparations of an action up to its rename; the transfer does the others."""
        steps = action.preparations
        last = max((at for at, step in enumerate(steps) if isinstance(step, Rename)), default=-1)
        if last >= 0:
            fence, job = self.context.fence, self.context.job
            properties = replica_properties(job, self.source.node, action.pair.source, fence=fence)
            first = replace(action, preparations=steps[: last + 1])
            await prepare(first, self.target, properties, self.clock(), self.log, fence)
