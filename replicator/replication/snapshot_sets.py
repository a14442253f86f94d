"""Sets of a job's snapshots: which the target holds, what last sync may claim, which are stale. Pure.

A set is the snapshots of one time over all volumes of a guest. ZFS is the truth: a remembered set is forgotten when the
target does not have it any more (contract: Where truth lives).
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
    """Return a job's snapshots of a dataset, by the time in their name."""
    found = () if dataset is None else dataset.snapshots
    return {s.set_time: s for s in found if s.job == job and s.set_time is not None}


def newest_whole_set(job: JobId, volumes: Sequence[VolumePair], known: KnownSets) -> int | None:
    """Return the newest set of which the target has every volume; None if there is none.

    The GUID decides where the source still has the snapshot, else the name.
    """
    times = {at for pair in volumes for at in times_on(job, pair.target)}
    return next(
        (at for at in sorted(times, reverse=True) if all(_holds(job, pair, at, known) for pair in volumes)), None
    )


def _holds(job: JobId, pair: VolumePair, at: int, known: KnownSets) -> bool:
    ours, theirs = times_on(job, pair.source), times_on(job, pair.target)
    if at in theirs:
        return at not in ours or ours[at].guid == theirs[at].guid
    return not _was_part(job, pair, at, known)


def _was_part(job: JobId, pair: VolumePair, at: int, known: KnownSets) -> bool:
    """Return whether a volume was part of a set that its replica does not have.

    A volume that was created later was not; nor one that joined the guest after the last proven set, as a disk of
    another guest does: its creation is older, but it has no snapshot or bookmark of the job from that time.
    """
    bookmarks = [mark.set_time for mark in pair.source.bookmarks if mark.job == job and mark.set_time is not None]
    oldest = min((*times_on(job, pair.source), *times_on(job, pair.target), *bookmarks), default=None)
    if oldest is not None and oldest <= at:
        return True
    is_new = known.volumes and str(pair.volume) not in known.volumes
    if known.proven is not None and is_new and at <= known.proven and (oldest is None or oldest > known.proven):
        return False
    return pair.source.creation <= at


def allowed_claim(remembered: Synced, held: int | None, now: float) -> Synced:
    """Return what may be claimed, given the newest whole set on the target.

    Last sync may be later than its set, when a run found nothing changed; it is lost with its set. It is never in the
    future, even if a wrong clock gave the set its name.
    """
    if held is None:
        return replace(remembered, last_sync=None, last_set=None)
    claim = remembered.last_sync if held == remembered.last_set else None
    sets = remembered.sets
    if sets.proven is None or held > sets.proven:  # an earlier run sent it, and died before it remembered that
        sets = replace(sets, proven=held, volumes=())
    return replace(remembered, last_sync=min(float(held) if claim is None else claim, now), last_set=held, sets=sets)


TAKEN_KEPT = 64
"""How many sets are remembered as taken here; a node has few sets of its own at a time."""


def with_taken(synced: Synced, set_time: int) -> Synced:
    """Return the state in which this node is about to take a set."""
    taken = (*synced.sets.taken, set_time)[-TAKEN_KEPT:]
    return replace(synced, sets=replace(synced.sets, taken=taken))


def without_taken(synced: Synced, set_time: int) -> Synced:
    """Return the state in which a set was not taken after all."""
    taken = tuple(time for time in synced.sets.taken if time != set_time)
    return replace(synced, sets=replace(synced.sets, taken=taken))


def proven_set(before: Synced, last_sync: float, set_time: int, volumes: Iterable[VolumePair]) -> Synced:
    """Return the state in which a set of these volumes was proven on the target."""
    names = tuple(str(pair.volume) for pair in volumes)
    sets = replace(before.sets, proven=set_time, volumes=names)
    return replace(before, last_sync=last_sync, last_set=set_time, sets=sets)


def is_unchanged(way: Direction, volumes: Sequence[VolumePair], held: int | None) -> bool:
    """Return whether no byte was written to any volume since the set ``held``, which the target has, GUID by GUID.

    A replica that is writable or was written to is never unchanged: the run has to report it.
    """
    for pair in volumes:
        ours = times_on(way.job, pair.source).get(held or 0)
        if ours is None or pair.target is None or not is_marked(way, pair.target):
            return False
        if pair.target.readonly is False or pair.target.written:
            return False
        theirs = pair.target.by_guid(ours.guid)
        if theirs is None or theirs != max(pair.target.snapshots, key=lambda snapshot: snapshot.createtxg):
            return False
        if unreplicated_bytes(pair.source, ours) != 0 or pair.target.token is not None:
            return False
    return bool(volumes)


def unreplicated_bytes(source: Dataset, base: SnapshotLike | None) -> int | None:
    """Return the bytes written since a snapshot or bookmark (None: in total); None if ZFS does not report them."""
    newer = [s.written for s in source.snapshots if base is None or s.createtxg > base.createtxg]
    return sum_if_known([*newer, source.written])


def sum_if_known(parts: Iterable[int | None]) -> int | None:
    """Return the sum of the parts; None if any of them is unknown."""
    total = 0
    for part in parts:
        if part is None:
            return None
        total += part
    return total


def stale_on_source(job: JobId, dataset: Dataset, keep: Iterable[str], known: KnownSets) -> list[Snapshot]:
    """Return the snapshots of a job on the source except those to keep.

    A dataset with the marks of a replica was one before the guest came to this node. All sets that it held then are
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
    """Return the volume as it is after the action: the sent snapshots are on the target too."""
    pair = left_on_target(action)
    sent = [s for s in pair.source.snapshots if s.name == name]
    if isinstance(action, Incremental) and isinstance(action.base, Snapshot) and travelling is Travelling.ALL:
        sent = [s for s in pair.source.snapshots if s.createtxg > action.base.createtxg]
    before = pair.target or Dataset(pair.target_name, pair.source.is_volume, 0)
    return replace(pair, target=replace(before, snapshots=(*before.snapshots, *sent)))


def stale_on_target(
    job: JobId, keep: RetentionPolicy, volumes: Sequence[VolumePair], new: str, now: float
) -> list[str]:
    """Return the snapshots (``dataset@name``) with names of zsr on replicas that are not needed any more.

    Restore points decide for this job's. Other jobs' were sent along, and are stale when they are gone from the source.
    """
    times = {at for pair in volumes for at in times_on(job, pair.target)}
    stale = keep.stale(sorted(times), now)
    return [
        f"{pair.target.name}@{snapshot.name}"
        for pair in volumes
        if pair.target is not None
        for snapshot in pair.target.snapshots
        if snapshot.name != new and _is_stale(job, stale, pair.source, snapshot)
    ]


def _is_stale(job: JobId, stale: set[int], source: Dataset, snapshot: Snapshot) -> bool:
    if snapshot.job == job:
        return snapshot.set_time in stale
    return snapshot.job is not None and source.by_guid(snapshot.guid) is None
