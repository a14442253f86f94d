"""The sets of a job's snapshots: which of them the target holds, what last sync may claim, which are stale. Pure.

A set is the snapshots of one time over all volumes of a guest. Truth is in ZFS: what is remembered is taken back when
the target does not have it any more (DESIGN 3).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from replicator.models import JobId, KnownSets, Synced, Travelling
from replicator.replication.ownership import Direction, is_marked, is_unproven
from replicator.replication.plan import Full, Incremental, VolumePair, left_on_target
from replicator.schedule.retention import RetentionPolicy
from replicator.zfs.model import Dataset, Snapshot, SnapshotLike


def times_on(job: JobId, dataset: Dataset | None) -> dict[int, Snapshot]:
    """A job's snapshots of a dataset, by the time in their name."""
    found = () if dataset is None else dataset.snapshots
    return {s.set_time: s for s in found if s.job == job and s.set_time is not None}


def newest_whole_set(job: JobId, volumes: Sequence[VolumePair], known: KnownSets) -> int | None:
    """Return the newest set that the target holds of all volumes; None: there is none.

    Where the source still has the snapshot its GUID counts, else the name.
    """
    times = {at for sides in volumes for at in times_on(job, sides.target)}
    return next(
        (at for at in sorted(times, reverse=True) if all(_holds(job, sides, at, known) for sides in volumes)), None
    )


def _holds(job: JobId, sides: VolumePair, at: int, known: KnownSets) -> bool:
    ours, theirs = times_on(job, sides.source), times_on(job, sides.target)
    if at in theirs:
        return at not in ours or ours[at].guid == theirs[at].guid
    return not _was_part(job, sides, at, known)


def _was_part(job: JobId, sides: VolumePair, at: int, known: KnownSets) -> bool:
    """Return whether a volume was part of a set that its replica does not have.

    A volume that was created later was not; nor one that joined the guest after the last proven set, as a disk does
    that was another guest's: its creation is older, but it has no snapshot or bookmark of the job from that time.
    """
    bookmarks = [mark.set_time for mark in sides.source.bookmarks if mark.job == job and mark.set_time is not None]
    oldest = min((*times_on(job, sides.source), *times_on(job, sides.target), *bookmarks), default=None)
    if oldest is not None and oldest <= at:
        return True
    is_new = known.volumes and str(sides.volume) not in known.volumes
    if known.proven is not None and is_new and at <= known.proven and (oldest is None or oldest > known.proven):
        return False
    return sides.source.creation <= at


def settled_claim(remembered: Synced, held: int | None, now: float) -> Synced:
    """What may be claimed, given the newest whole set on the target.

    The moment of last sync may be later than its set, when a run found nothing changed; it falls with its set. It is
    never in the future, whatever a name says that was given by a clock that was wrong.
    """
    if held is None:
        return Synced(sets=remembered.sets)
    claim = remembered.last_sync if held == remembered.last_set else None
    return Synced(min(float(held) if claim is None else claim, now), held, remembered.sets)


TAKEN_KEPT = 64
"""So many sets are remembered as taken here; a node has few of its own sets at a time."""


def with_taken(synced: Synced, set_time: int) -> Synced:
    """Return what is remembered when this node is about to take a set."""
    taken = (*synced.sets.taken, set_time)[-TAKEN_KEPT:]
    return replace(synced, sets=replace(synced.sets, taken=taken))


def without_taken(synced: Synced, set_time: int) -> Synced:
    """Return what is remembered when a set was not taken after all."""
    taken = tuple(time for time in synced.sets.taken if time != set_time)
    return replace(synced, sets=replace(synced.sets, taken=taken))


def proven_set(before: Synced, last_sync: float, set_time: int, volumes: Iterable[VolumePair]) -> Synced:
    """Return what is remembered when a set of these volumes was proven on the target."""
    names = tuple(str(sides.volume) for sides in volumes)
    return Synced(last_sync, set_time, KnownSets(set_time, names, before.sets.taken))


def is_unchanged(way: Direction, volumes: Sequence[VolumePair], held: int | None) -> bool:
    """Return whether no volume has a byte written since the set ``held``, which the target has, GUID by GUID.

    A replica that is writable or was written to is none that a run may leave unsaid.
    """
    for sides in volumes:
        ours = times_on(way.job, sides.source).get(held or 0)
        if ours is None or sides.target is None or not is_marked(way, sides.target):
            return False
        if sides.target.readonly is False or sides.target.written:
            return False
        theirs = sides.target.by_guid(ours.guid)
        if theirs is None or theirs != max(sides.target.snapshots, key=lambda snapshot: snapshot.createtxg):
            return False
        if unreplicated_bytes(sides.source, ours) != 0 or sides.target.token is not None:
            return False
    return bool(volumes)


def unreplicated_bytes(source: Dataset, base: SnapshotLike | None) -> int | None:
    """Bytes written on a volume since a snapshot or bookmark (None: since ever); None where this ZFS cannot tell."""
    newer = [s.written for s in source.snapshots if base is None or s.createtxg > base.createtxg]
    parts = [*newer, source.written]
    if any(part is None for part in parts):
        return None
    return sum(part for part in parts if part is not None)


def stale_on_source(job: JobId, dataset: Dataset, keep: Iterable[str], known: KnownSets) -> list[Snapshot]:
    """Return the snapshots of a job on the source but those to keep.

    A dataset with the mark of a replica was one before the guest came to this node. All sets that it held then are
    restore points, also those that this node had taken as an earlier owner; only sets that it took since are stale.
    """
    kept = set(keep)
    sets = times_on(job, dataset)
    was_replica = dataset.job is not None or dataset.source is not None
    received = max((time for time in sets if time not in known.taken), default=0) if was_replica else 0
    return [
        snapshot
        for time, snapshot in sets.items()
        if snapshot.name not in kept and (not was_replica or (time in known.taken and time > received))
    ]


def unproven(job: JobId, target: Dataset | None, known: KnownSets, base: str) -> list[Snapshot]:
    """Return a job's snapshots on a replica that this node sent and that never became part of a whole set."""
    return [s for s in times_on(job, target).values() if s.name != base and is_unproven(s, known)]


def arrived(action: Full | Incremental, name: str, travelling: Travelling) -> VolumePair:
    """The volume as it is when the action was done: what travelled is on the target too."""
    sides = left_on_target(action)
    came = [s for s in sides.source.snapshots if s.name == name]
    if isinstance(action, Incremental) and isinstance(action.base, Snapshot) and travelling is Travelling.ALL:
        came = [s for s in sides.source.snapshots if s.createtxg > action.base.createtxg]
    before = sides.target or Dataset(sides.target_name, sides.source.is_volume, 0)
    return replace(sides, target=replace(before, snapshots=(*before.snapshots, *came)))


def stale_on_target(
    job: JobId, keep: RetentionPolicy, volumes: Sequence[VolumePair], new: str, now: float
) -> list[str]:
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
