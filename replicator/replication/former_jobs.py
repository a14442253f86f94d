"""The snapshots that the jobs of other guests left on a volume that moved here: they go when its set is proven here.

Until then they may be the base with which it continues its replica. Only what this node made is destroyed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from replicator.models import JobId
from replicator.replication.context import OtherJobs, RunContext
from replicator.replication.destruction import decide_all_bookmarks, decide_left_behind
from replicator.replication.moved_volumes import is_volume_of
from replicator.replication.plan import VolumePair
from replicator.replication.progress import Log
from replicator.replication.provenance import Direction
from replicator.replication.reseeding import needed
from replicator.replication.verification import attempt
from replicator.zfs import commands, output
from replicator.zfs.client import ZfsClient
from replicator.zfs.execution import execute
from replicator.zfs.permits import SnapshotsPermit


@dataclass(frozen=True, slots=True)
class LeftBehind:
    """What the ``job`` of another guest left on a volume of the source, and what of it may go."""

    job: JobId
    permit: SnapshotsPermit


async def left_behind(
    context: RunContext, way: Direction, volumes: Iterable[VolumePair], source: ZfsClient
) -> list[LeftBehind]:
    """Return what other guests' jobs left on volumes of the source, once a set of these volumes is proven.

    A volume that has clones of their sets has not left: it was a clone of theirs, and got them by ``zfs promote``. They
    are the base of the job's replica as soon as its own volume is promoted back.

    Raises:
        ZsrError: it is not known whether there are clones.
    """
    found = await _may_go(context, way, volumes)
    return [each for each in found if not await _have_clones(each.permit, source)]


async def _have_clones(permit: SnapshotsPermit, source: ZfsClient) -> bool:
    if not (await source.features()).written:
        return False
    for argv in commands.clones(permit.names):
        if output.has_values(await execute(source, argv, f"read the clones of '{permit.dataset}'")):
            return True
    return False


async def _may_go(context: RunContext, way: Direction, volumes: Iterable[VolumePair]) -> list[LeftBehind]:
    others, found = context.others, []
    for pair in volumes if others is not None else ():
        jobs = {each.job for each in pair.source.snapshots if each.job is not None}
        for job in sorted(each for each in jobs if each.guest != way.job.guest):
            if others is not None and _has_left(context, others, way, job, pair.source.name):
                old = Direction(job, way.source, way.target, await others.known(job))
                permit = decide_left_behind(old, pair.source, needed(pair))
                found += [LeftBehind(job, permit)] if permit.snapshots else []
    return found


def _has_left(context: RunContext, others: OtherJobs, way: Direction, job: JobId, dataset: str) -> bool:
    """Return whether a volume has left another guest's job for good, and no job here still has to continue its replica.

    That is the job's own replica on this target, or the one on a target that no other job of the guest has.
    """
    if is_volume_of(others, context.storages, way.source, job.guest, dataset):
        return False
    mates = [each for each in others.jobs.values() if each.id.guest == way.job.guest and each.id != way.job]
    old = others.jobs.get(job)
    if old is None:
        return not mates
    return old.target == way.target or all(each.target != old.target for each in mates)


async def destroy_left_behind(
    context: RunContext, way: Direction, volumes: Sequence[VolumePair], source: ZfsClient, log: Log
) -> None:
    """Destroy what `left_behind` permits, with the bookmarks of these jobs; a failure is only logged."""

    async def destroy() -> None:
        for each in await left_behind(context, way, volumes, source):
            await attempt(_destroy(each, source, log), log)

    await attempt(destroy(), log)


async def _destroy(left: LeftBehind, source: ZfsClient, log: Log) -> None:
    name = left.permit.dataset
    found = (await source.inventory(name, depth=1, bookmarks=True)).get(name)
    if found is not None:  # first, so that a snapshot that is left brings the next run here
        await source.destroy_bookmarks(decide_all_bookmarks(left.job, found))
    await source.destroy_snapshots(left.permit)
    log("info", f"'{name}' left job {left.job}: {len(left.permit.snapshots)} snapshots of that job destroyed")
