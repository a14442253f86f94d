"""The sets of a job's snapshots: which of them the target holds, what last sync may claim, which are stale. Pure.

A set is the snapshots of one time over all volumes of a guest. Truth is in ZFS: what is remembered is taken back when
the target does not have it any more (DESIGN 3).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from replicator.jobs import JobId, Synced, Travelling
from replicator.replication.keep import Keep
from replicator.replication.plan import Full, Incremental, Sides, left_on_target
from replicator.zfs.facts import Dataset, Mark, Snapshot


def times_on(job: JobId, dataset: Dataset | None) -> dict[int, Snapshot]:
    """A job's snapshots of a dataset, by the time in their name."""
    found = () if dataset is None else dataset.snapshots
    return {s.set_time: s for s in found if s.job == job and s.set_time is not None}


def newest_whole_set(job: JobId, volumes: Sequence[Sides]) -> int | None:
    """The newest set that the target holds of all volumes; None: there is none.

    Where the source still has the snapshot its GUID counts, else the name. A volume that was created after a set, and
    has no snapshot of it, was no part of it.
    """
    times = {at for sides in volumes for at in times_on(job, sides.target)}
    return next((at for at in sorted(times, reverse=True) if all(_holds(job, sides, at) for sides in volumes)), None)


def _holds(job: JobId, sides: Sides, at: int) -> bool:
    ours, theirs = times_on(job, sides.source), times_on(job, sides.target)
    if at in theirs:
        return at not in ours or ours[at].guid == theirs[at].guid
    return sides.source.creation > at and min((*ours, *theirs), default=at + 1) > at


def settled_claim(remembered: Synced, held: int | None, now: float) -> Synced:
    """What may be claimed, given the newest whole set on the target.

    The moment of last sync may be later than its set, when a run found nothing changed; it falls with its set. It is
    never in the future, whatever a name says that was given by a clock that was wrong.
    """
    if held is None:
        return Synced()
    claim = remembered.last_sync if held == remembered.last_set else None
    return Synced(min(float(held) if claim is None else claim, now), held)


def is_unchanged(job: JobId, volumes: Sequence[Sides], held: int | None) -> bool:
    """Whether no volume has a byte written since the set ``held``, which the target has, GUID by GUID."""
    for sides in volumes:
        ours = times_on(job, sides.source).get(held or 0)
        if ours is None or sides.target is None or sides.target.job != str(job):
            return False
        theirs = sides.target.by_guid(ours.guid)
        if theirs is None or theirs != max(sides.target.snapshots, key=lambda snapshot: snapshot.createtxg):
            return False
        if unreplicated_bytes(sides.source, ours) != 0 or sides.target.token is not None:
            return False
    return bool(volumes)


def unreplicated_bytes(source: Dataset, base: Mark | None) -> int | None:
    """Bytes written on a volume since a snapshot or bookmark (None: since ever); None where this ZFS cannot tell."""
    newer = [s.written for s in source.snapshots if base is None or s.createtxg > base.createtxg]
    parts = [*newer, source.written]
    if any(part is None for part in parts):
        return None
    return sum(part for part in parts if part is not None)


def stale_on_source(job: JobId, dataset: Dataset, keep: Iterable[str]) -> list[Snapshot]:
    """The snapshots of a job on the source but those to keep."""
    kept = set(keep)
    return [snapshot for snapshot in dataset.snapshots if snapshot.job == job and snapshot.name not in kept]


def unproven(job: JobId, target: Dataset | None, held: int | None, base: str) -> list[Snapshot]:
    """A job's snapshots on a replica that came after the set ``held`` and never became part of a whole one."""
    later = [s for at, s in times_on(job, target).items() if held is None or at > held]
    return [snapshot for snapshot in later if snapshot.name != base]


def arrived(action: Full | Incremental, name: str, travelling: Travelling) -> Sides:
    """The volume as it is when the action was done: what travelled is on the target too."""
    sides = left_on_target(action)
    came = [s for s in sides.source.snapshots if s.name == name]
    if isinstance(action, Incremental) and isinstance(action.base, Snapshot) and travelling is Travelling.ALL:
        came = [s for s in sides.source.snapshots if s.createtxg > action.base.createtxg]
    before = sides.target or Dataset(sides.target_name, sides.source.is_volume, 0)
    return replace(sides, target=replace(before, snapshots=(*before.snapshots, *came)))


def stale_on_target(job: JobId, keep: Keep, volumes: Sequence[Sides], new: str, now: float) -> list[str]:
    """Snapshots (``dataset@name``) in zsr's own name format on replicas that nobody needs any more.

    This job's by its restore points; and other jobs' that travelled along and are gone from the source since.
    """
    times = {at for sides in volumes for at in times_on(job, sides.target)}
    stale = keep.stale(sorted(times), now)
    return [
        f"{sides.target.name}@{snapshot.name}"
        for sides in volumes
        if sides.target is not None
        for snapshot in sides.target.snapshots
        if snapshot.name != new and _is_stale(job, stale, sides.source, snapshot)
    ]


def _is_stale(job: JobId, stale: set[int], source: Dataset, snapshot: Snapshot) -> bool:
    if snapshot.job == job:
        return snapshot.set_time in stale
    return snapshot.job is not None and source.by_guid(snapshot.guid) is None
