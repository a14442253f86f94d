"""Sets of a job's snapshots: which the target holds, what last sync may claim. Pure.

A set is the snapshots of one time over all volumes of a guest. ZFS is the truth: a remembered set is forgotten when the
target does not have it any more (contract: Where truth lives).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from replicator.models import JobId, KnownSets, Synced
from replicator.replication.held_sets import held_on_target, left_on_target
from replicator.replication.keys import has_new_key
from replicator.replication.legs import has_new_to_send, outdated_name, route
from replicator.replication.plan import Full, Incremental, VolumePair, choose_base
from replicator.replication.provenance import Direction, is_brought, is_made, is_marked, not_brought, sets_of
from replicator.zfs.channel_programs import ReceivedReplica
from replicator.zfs.model import Dataset, SnapshotLike
from replicator.zfs.snapshot_names import LATEST_SET, job_of, job_prefix

CREDIBLE_SECONDS = 86400.0
"""How far ahead of the clock the time in a snapshot's name may lie that only the target has; a later one is no set."""


def newest_whole_set(job: JobId, volumes: Sequence[VolumePair], known: KnownSets, now: float) -> int | None:
    """Return the newest set of which the target has every volume; None if there is none.

    The GUID decides where the source still has the snapshot, else the name.
    """
    times = {at for pair in volumes for at in _on_target(job, pair, known, now)}
    return next(
        (at for at in sorted(times, reverse=True) if all(_holds(job, pair, at, known) for pair in volumes)), None
    )


def _on_target(job: JobId, pair: VolumePair, known: KnownSets, now: float) -> set[int]:
    """Return the times of the sets on the target: who has the target can make a snapshot of any name there."""
    ours = sets_of(job, pair.source)
    return {at for at in sets_of(job, pair.target) if at <= now + CREDIBLE_SECONDS or at in ours or at in known.taken}


def _holds(job: JobId, pair: VolumePair, at: int, known: KnownSets) -> bool:
    ours, theirs = sets_of(job, pair.source), sets_of(job, pair.target)
    if at in theirs:
        return at not in ours or ours[at].guid == theirs[at].guid
    return not _was_part(job, pair, at, known)


def _was_part(job: JobId, pair: VolumePair, at: int, known: KnownSets) -> bool:
    """Return whether a volume was part of a set that its replica does not have.

    A volume that was created later was not; nor one that joined the guest after the last proven set, as a disk of
    another guest does: its creation is older, but it has no snapshot or bookmark of the job from that time.
    """
    bookmarks = [mark.set_time for mark in pair.source.bookmarks if mark.job == job and mark.set_time is not None]
    oldest = min((*sets_of(job, pair.source), *sets_of(job, pair.target), *bookmarks), default=None)
    if oldest is not None and oldest <= at:
        return True
    is_new = known.volumes and str(pair.volume) not in known.volumes
    if known.proven is not None and is_new and at <= known.proven and (oldest is None or oldest > known.proven):
        return False
    if oldest is None and _continues_other_guests(job, pair):
        return False
    return pair.source.creation <= at


def _continues_other_guests(job: JobId, pair: VolumePair) -> bool:
    """Return whether a volume goes on with the replica that it had as another guest's."""
    if pair.target is None or choose_base(pair.source, pair.target) is None:
        return False
    return any(snapshot.job is not None and snapshot.job.guest != job.guest for snapshot in pair.target.snapshots)


def allowed_claim(remembered: Synced, held: int | None) -> Synced:
    """Return what may be claimed, given the newest whole set on the target.

    Last sync may be later than its set, when a run found nothing changed; it is lost with its set. Where a wrong clock
    gave the set a name in the future it stays there, and is reported (ZsrLastSyncInFuture): nobody proved the present.
    """
    if held is None:
        return replace(remembered, last_sync=None, last_set=None)
    claim = remembered.last_sync if held == remembered.last_set else None
    sets = remembered.sets
    if sets.proven is None or held > sets.proven:  # an earlier run sent it, and died before it remembered that
        sets = replace(sets, proven=held, volumes=())
    return replace(remembered, last_sync=float(held) if claim is None else claim, last_set=held, sets=sets)


def claim_of(
    way: Direction, remembered: Synced, actions: Sequence[Full | Incremental], diverged: Sequence[Dataset], now: float
) -> Synced:
    """Return what may be claimed, given a plan; a replica that it sets aside, or that was set aside, still counts.

    What the source's snapshots say about the replicas' is noted as well: they may be destroyed before those.
    """
    volumes = [held_on_target(action, diverged) for action in actions]
    claim = allowed_claim(remembered, newest_whole_set(way.job, volumes, remembered.sets, now))
    return with_sent(claim, brought(way, [action.pair for action in actions]))


TAKEN_KEPT = 64
"""How many sets are remembered as taken here; a node has few sets of its own at a time."""


def with_taken(synced: Synced, set_time: int) -> Synced:
    """Return the state in which this node is about to take a set; proven ones stay, however many fail after them."""
    before = synced.sets.taken
    proven = [time for time in before[: -TAKEN_KEPT + 1] if time in (synced.sets.proven, synced.last_set)]
    return replace(synced, sets=replace(synced.sets, taken=(*proven, *before[-TAKEN_KEPT + 1 :], set_time)))


def without_taken(synced: Synced, set_time: int) -> Synced:
    """Return the state in which a set was not taken after all."""
    taken = tuple(time for time in synced.sets.taken if time != set_time)
    return replace(synced, sets=replace(synced.sets, taken=taken))


def brought(way: Direction, volumes: Iterable[VolumePair]) -> set[int]:
    """Return the GUIDs of the snapshots on replicas that this node brought there."""
    return {
        snapshot.guid
        for pair in volumes
        if pair.target is not None
        for snapshot in pair.target.snapshots
        if is_brought(way, pair.source, snapshot) and snapshot.guid not in way.known.inherited
    }


def described_unknown(way: Direction, volumes: Iterable[VolumePair]) -> str:
    """Return the sentence about snapshots with the job's name that this node did not bring; empty if there are none."""
    unknown = [s for pair in volumes for s in not_brought(way, pair.source, pair.target) if s.job == way.job]
    if not unknown:
        return ""
    what = (
        f"{len(unknown)} snapshots on {way.target} have the job's name, but this node does not know that it sent them"
    )
    return f"{what}: they stay. If they are the job's: zsr adopt {way.job}"


def with_sent(synced: Synced, guids: Iterable[int], carried: Iterable[int] = ()) -> Synced:
    """Return the state in which this node is about to bring snapshots to the target.

    ``carried`` are those that have the job's name and are another tool's.
    """
    others = frozenset(carried)
    sent = synced.sets.sent | frozenset(guids) | others
    return replace(synced, sets=replace(synced.sets, sent=sent, carried=synced.sets.carried | others))


def without_sent(synced: Synced, guids: Iterable[int]) -> Synced:
    """Return the state in which snapshots are gone from the target that this node had brought there."""
    gone, sets = frozenset(guids), synced.sets
    inherited = sets.inherited - gone
    return replace(synced, sets=replace(sets, sent=sets.sent - gone, carried=sets.carried - gone, inherited=inherited))


def noting_sent(
    way: Direction, synced: Synced, actions: Iterable[Full | Incremental], name: str, snapshots: str
) -> tuple[Synced, bool]:
    """Return the state in which the set ``name`` is about to be sent, and whether anything travels along with it."""
    sent = [(action.pair.source, snapshot) for action in actions for snapshot in route(action, name, snapshots).travels]
    carried = [s.guid for source, s in sent if s.job == way.job and not is_made(way, source, s)]
    others = any(snapshot.name != name for _, snapshot in sent)
    return with_sent(synced, (snapshot.guid for _, snapshot in sent), carried), others


def proven_set(before: Synced, last_sync: float, set_time: int, volumes: Sequence[VolumePair]) -> Synced:
    """Return the state in which a set of these volumes was proven on the target.

    A job that knew its snapshots by name knows them by GUID from now on.
    """
    known = before.sets
    there = [snapshot for pair in volumes if pair.target is not None for snapshot in pair.target.snapshots]
    by_name = {snapshot.guid for snapshot in there if known.by_name and snapshot.job is not None}
    names = tuple(str(pair.volume) for pair in volumes)
    sets = replace(known, proven=set_time, volumes=names, sent=known.sent | by_name, by_name=False)
    return replace(before, last_sync=last_sync, last_set=set_time, sets=sets)


def new_set_time(job: JobId, volumes: Iterable[VolumePair], synced: Synced, now: float) -> int:
    """Return a time for a new set that no set of the job has, also when the clock went backwards.

    A snapshot with the latest time that a name can have is not one of zsr's: no name would be left after it.
    """
    used = {at for pair in volumes for at in (*sets_of(job, pair.source), *_on_target(job, pair, synced.sets, now))}
    return max([int(now), (synced.last_set or 0) + 1, *(at + 1 for at in used if at < LATEST_SET - CREDIBLE_SECONDS)])


def is_as_remembered(way: Direction, volumes: Iterable[VolumePair], last_set: int | None) -> bool:
    """Return whether the replicas are those that the last sync was proven with, and none is half received."""
    replicas = [pair.target for pair in volumes if pair.target is not None]
    return bool(replicas) and all(
        is_marked(way, replica) and max(sets_of(way.job, replica), default=None) == last_set and not replica.token
        for replica in replicas
    )


def is_unchanged(way: Direction, volumes: Sequence[VolumePair], held: int | None) -> bool:
    """Return whether no byte was written to any volume since the set ``held``, which the target has, GUID by GUID.

    A snapshot of others that travels is a change, though no byte was written. A replica that is writable or was written
    to is never unchanged: the run has to report it. Nor is a raw one if the source has a new key, which only a stream
    brings.
    """
    for pair in volumes:
        ours = sets_of(way.job, pair.source).get(held or 0)
        if ours is None or pair.target is None or not is_marked(way, pair.target):
            return False
        if pair.target.readonly is False or pair.target.written:
            return False
        theirs = pair.target.by_guid(ours.guid)
        if theirs is None or theirs != max(pair.target.snapshots, key=lambda snapshot: snapshot.createtxg):
            return False
        if has_new_to_send(pair.source, ours, way.snapshots):
            return False
        if unreplicated_bytes(pair.source, ours) != 0 or pair.target.token is not None or has_new_key(pair):
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


def received_replica(action: Full | Incremental, name: str, snapshots: str) -> ReceivedReplica | None:
    """Return the facts that separate snapshots created on a replica during the run from those that were sent.

    None for a replica that was cloned from one that is kept aside: its snapshots were not listed under its name.
    """
    pair = action.pair
    listed = () if pair.target is None else pair.target.snapshots
    if isinstance(action, Incremental) and all(snapshot.guid != action.base.guid for snapshot in listed):
        return None
    sent = frozenset(snapshot.guid for snapshot in route(action, name, snapshots).travels)
    newest = max((snapshot.createtxg for snapshot in listed), default=0)
    job = job_of(name)
    return ReceivedReplica(pair.target_name, newest, sent, name if job is None else job_prefix(job))


def made_meanwhile(replica: ReceivedReplica, found: Dataset | None) -> list[str]:
    """Return the full names of the snapshots that were created on a replica since it was listed."""
    snapshots = () if found is None else found.snapshots
    new = [each for each in snapshots if each.createtxg > replica.after and each.guid not in replica.sent]
    return [f"{replica.dataset}@{each.name}" for each in new if not each.name.startswith(replica.own)]


def arrived(action: Full | Incremental, name: str, snapshots: str) -> VolumePair:
    """Return the volume as it is after the action: the sent snapshots are on the target too."""
    pair = left_on_target(action)
    sent = route(replace(action, pair=pair), name, snapshots).travels
    before = pair.target or Dataset(pair.target_name, pair.source.is_volume, 0)
    outdated = action.outdated if isinstance(action, Incremental) else ()
    left = (replace(s, name=outdated_name(pair.target_name, s)) if s in outdated else s for s in before.snapshots)
    return replace(pair, target=replace(before, snapshots=(*left, *sent)))
