"""The decisions about destruction: what may be destroyed, and the permit for it (contract: Destruction). Pure.

Nothing else in the program issues a permit. What has none stays; an error says why where a person has to know. The
laws stand in docs/replication.md in a user's words.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from replicator.errors import TargetActiveError
from replicator.models import JobId, Vanished
from replicator.replication.asides import Aside
from replicator.replication.provenance import (
    Direction,
    continues_as,
    is_brought,
    is_foreign_brought,
    is_made,
    is_marked,
    is_replica_brought,
    is_unproven,
    sets_of,
    writable,
    written_to,
)
from replicator.schedule.grace import Terms, end_of, is_announced_again, is_over
from replicator.schedule.retention import RetentionPolicy
from replicator.zfs.dataset_names import Holds
from replicator.zfs.fence import Fence
from replicator.zfs.model import Bookmark, Dataset, Inventory, Snapshot, pool_of
from replicator.zfs.permits import (
    BookmarksPermit,
    HalfReceivedPermit,
    Law,
    ReplicaPermit,
    RollbackPermit,
    SnapshotsPermit,
)

BOOKMARKS_KEPT = 16
"""How many bookmarks of a job a volume keeps before they are destroyed: each costs a command of its own."""


# --- snapshots on the source


def decide_old_on_source(way: Direction, dataset: Dataset, keep: Iterable[str]) -> SnapshotsPermit:
    """Permit the job's snapshots that this node took, except those to keep, which are the target's base.

    A dataset with the marks of a replica was one before the guest came to this node. All sets that it held then are
    restore points, also those that this node had taken as an earlier owner; only sets that it took since may go.
    """
    kept, known = set(keep), way.known
    sets = sets_of(way.job, dataset)
    received = max((time for time in sets if time not in known.taken), default=0) if dataset.may_be_replica else 0
    stale = [
        snapshot
        for time, snapshot in sets.items()
        if snapshot.name not in kept
        and is_made(way, dataset, snapshot)
        and (not dataset.may_be_replica or (time in known.taken and time > received))
    ]
    return SnapshotsPermit(Law.OURS, "a set of this job that is not the base any more", dataset.name, tuple(stale))


def decide_unproven_on_source(
    way: Direction, dataset: Dataset, base: str, needed: Collection[str] = ()
) -> SnapshotsPermit:
    """Permit the sets on the source that this node took and that never became whole on the target.

    The ``base`` stays, and what is ``needed`` for a new replica in the making (`reseeding.needed`).

    A proven set stays until a newer one is proven: another target that was edited away, or a replica that was renamed,
    may still have it as its newest.
    """
    stale = [
        s
        for s in sets_of(way.job, dataset).values()
        if s.name != base and s.name not in needed and is_made(way, dataset, s) and is_unproven(s, way.known)
    ]
    return SnapshotsPermit(Law.OURS, "of a set that was never whole on the target", dataset.name, tuple(stale))


def decide_useless_set(on_source: Inventory, name: str, pools: Iterable[str]) -> list[SnapshotsPermit]:
    """Permit the snapshots of this name in the pools in which this very run took them, and found no use for them."""
    taken_in = set(pools)
    found = [(dataset.name, dataset.named(name)) for dataset in on_source.datasets.values()]
    why = "taken by this run, which cannot send it"
    return [
        SnapshotsPermit(Law.THIS_RUN, why, dataset, (new,))
        for dataset, new in found
        if new is not None and pool_of(dataset) in taken_in
    ]


def decide_left_out(way: Direction, dataset: Dataset) -> SnapshotsPermit:
    """Permit all that this node took for a job of a volume that is left out, once its replica is destroyed."""
    return replace(decide_old_on_source(way, dataset, ()), why="the volume is left out, and its replica is gone")


def decide_left_behind(way: Direction, dataset: Dataset, needed: Collection[str]) -> SnapshotsPermit:
    """Permit all that this node took for the job of another guest, which had the volume before it moved.

    A set with the volume is proven under its guest's own job now; what is ``needed`` for a new replica in the making
    stays.
    """
    return replace(
        decide_old_on_source(way, dataset, needed), why=f"the volume left job {way.job}, and is proven again"
    )


def decide_useless_sets_bookmarks(on_source: Inventory, name: str, pools: Iterable[str]) -> list[BookmarksPermit]:
    """Permit the bookmarks of a set that `decide_useless_set` permits: this run made them with it."""
    taken_in = set(pools)
    found = [
        (dataset.name, tuple(mark for mark in dataset.bookmarks if mark.name == name))
        for dataset in on_source.datasets.values()
        if pool_of(dataset.name) in taken_in
    ]
    why = "made by this run, which cannot send its set"
    return [BookmarksPermit(Law.THIS_RUN, why, dataset, marks) for dataset, marks in found if marks]


def decide_removed_jobs_snapshots(way: Direction, dataset: Dataset) -> SnapshotsPermit:
    """Permit all that this node took for a job that is removed; what a former replica had received stays."""
    return replace(decide_old_on_source(way, dataset, ()), why="the job is removed")


# --- bookmarks on the source


def decide_useless_bookmarks(way: Direction, source: Dataset, target: Dataset | None, base: str) -> BookmarksPermit:
    """Permit a job's bookmarks of sets that never became whole, and that the target does not have, if they are many."""
    own = [bookmark for bookmark in source.bookmarks if bookmark.job == way.job and bookmark.name != base]
    useless = [
        bookmark
        for bookmark in own
        if is_unproven(bookmark, way.known) and (target is None or target.by_guid(bookmark.guid) is None)
    ]
    return _bookmarks(source.name, useless if len(useless) > BOOKMARKS_KEPT else [])


def decide_old_bookmarks(job: JobId, dataset: Dataset, new: str) -> BookmarksPermit:
    """Permit the job's bookmarks but the newest, once there are too many."""
    old = [bookmark for bookmark in dataset.bookmarks if bookmark.job == job and bookmark.name != new]
    return _bookmarks(dataset.name, old if len(old) >= BOOKMARKS_KEPT else [])


def decide_all_bookmarks(job: JobId, dataset: Dataset) -> BookmarksPermit:
    """Permit all bookmarks of a job: it is removed, or the node wants none."""
    return _bookmarks(dataset.name, [bookmark for bookmark in dataset.bookmarks if bookmark.job == job])


def _bookmarks(dataset: str, bookmarks: Sequence[Bookmark]) -> BookmarksPermit:
    return BookmarksPermit(Law.OURS, "a bookmark of this job that no transfer needs", dataset, tuple(bookmarks))


# --- snapshots on replicas


def decide_unproven(way: Direction, target: Dataset | None, base: str) -> SnapshotsPermit:
    """Permit the snapshots on a replica that this node sent and that never became part of a whole set."""
    sets = sets_of(way.job, target) if target is not None and is_marked(way, target) else {}
    stale = [s for s in sets.values() if s.name != base and is_unproven(s, way.known)]
    name = "" if target is None else target.name
    why = "of a set that was never whole on the target"
    return SnapshotsPermit(Law.PROVEN_STAYS, why, name, tuple(stale), way.fence)


def decide_superseded(
    way: Direction, keep: RetentionPolicy, volumes: Sequence[tuple[Dataset, Dataset | None]], new: str, now: float,
    partial: Collection[int] = (),
) -> list[SnapshotsPermit]:  # fmt: skip
    """Permit the snapshots on replicas that are not needed any more once the set ``new`` is proven.

    Restore points decide for this job's sets, and on each replica for those of the job that had it before. What others
    took was sent along, and is stale when it is gone from the source: other jobs' sets, and those of another tool that
    uses the job's name. A snapshot that this node did not bring is another's, whatever its name. ``volumes`` are each
    volume's dataset on the source with its replica as it is after the transfer; ages are measured at ``now`` (unix
    seconds). ``partial`` are sets that were never whole on the target: they take no place among the restore points, and
    go, also one that was the base of a volume.
    """
    brought = [
        (source, target, [s for s in target.snapshots if s.name == new or is_brought(way, source, s)])
        for source, target in volumes
        if target is not None
    ]
    own = {s.set_time: s.name for _, _, some in brought for s in some if _is_own_set(way, s) and s.set_time is not None}
    never = {at for at, name in own.items() if at in partial and name != new}
    stale = keep.stale(sorted(own.keys() - never), now) | never
    why = "a newer set is proven, and keep does not want it"
    here = {each.guid for source, _ in volumes for each in source.snapshots}  # a promoted clone has them too
    permits = []
    for _, target, some in brought:
        points = _old_points(way, keep, some, now)
        gone = tuple(s for s in some if s.name != new and _is_superseded(way, stale, here, s, points))
        permits.append(SnapshotsPermit(Law.PROVEN_STAYS, why, target.name, gone, way.fence))
    return permits


def _is_superseded(
    way: Direction, stale: set[int], here: Collection[int], snapshot: Snapshot, stale_points: set[int]
) -> bool:
    if _is_own_set(way, snapshot):
        return snapshot.set_time in stale
    if snapshot.guid in way.known.inherited:
        return snapshot.set_time in stale_points
    return snapshot.guid not in here


def _is_own_set(way: Direction, snapshot: Snapshot) -> bool:
    return snapshot.job == way.job and snapshot.guid not in way.known.carried


def _old_points(way: Direction, keep: RetentionPolicy, brought: Iterable[Snapshot], now: float) -> set[int]:
    """Return the times at which a replica's restore points are stale, counting those of the job that had it before."""
    points = [s for s in brought if _is_own_set(way, s) or s.guid in way.known.inherited]
    return keep.stale(sorted({s.set_time for s in points if s.set_time is not None}), now)


def decide_gone(way: Direction, source: Dataset, target: Dataset, over: Collection[int]) -> SnapshotsPermit:
    """Permit the snapshots of others that this node brought and the source lost, of those whose grace is ``over``."""
    gone = tuple(
        s for s in target.snapshots if s.guid in over and is_foreign_brought(way, s) and source.by_guid(s.guid) is None
    )
    why = "it travelled, is gone from the source, and its grace is over"
    return SnapshotsPermit(Law.OTHERS, why, target.name, gone if is_marked(way, target) else (), way.fence)


def decide_rollback(way: Direction, target: Dataset, to: Snapshot) -> RollbackPermit | None:
    """Permit a rollback that destroys only sets that this node sent and never proved; None: set it aside.

    Proven sets are restore points, and a set that this node did not take may hold the last writes of another owner.
    """
    newer = tuple(snapshot for snapshot in target.snapshots if snapshot.createtxg > to.createtxg)
    ours = all(snapshot.job == way.job and is_unproven(snapshot, way.known) for snapshot in newer)
    if target.written or not ours or not is_marked(way, target):
        return None
    why = "all newer snapshots are of sets that were never whole on the target"
    gone = SnapshotsPermit(Law.PROVEN_STAYS, why, target.name, newer, way.fence)
    return RollbackPermit(Law.PROVEN_STAYS, why, target.name, to, gone, str(way.job), way.source, way.fence)


# --- datasets on the target


@dataclass(frozen=True, slots=True)
class KeepAside:
    """Rename a replica that passes the ``fence`` instead of destroying it: ``snapshot`` was created on the target."""

    snapshot: Snapshot
    fence: Fence | None = None


def decide_removal(way: Direction, replica: Dataset, law: Law = Law.ONLY_COPY) -> ReplicaPermit | KeepAside:
    """Permit a replica that a person gave up; keep it aside if it has snapshots created on the target.

    ``law`` says how: the job is removed with its replicas (`Law.ONLY_COPY`), or the replica's volume vanished and its
    destruction was ordered (`Law.VANISHED`). Replicated snapshots are older than the job's newest; one that is newer,
    or tagged, was created on the target, be it by another zsr that replicates the replica further.

    Raises:
        TargetActiveError: it is writable or was written to since its newest snapshot.
    """
    if replica.readonly is False:
        raise writable(way, replica, None)
    if replica.written and (replica.snapshots or replica.token is None):  # else it is an unfinished first transfer
        raise written_to(way, replica, None)
    newest = max((s.createtxg for s in replica.snapshots if s.job == way.job), default=0)
    for snapshot in replica.snapshots:
        is_newer = snapshot.createtxg > newest and snapshot.guid not in way.known.sent
        if snapshot.job != way.job and (snapshot.made_here or is_newer):
            return KeepAside(snapshot, way.fence)
    why = "a person asked for it" if law is Law.VANISHED else "the job is removed with its replicas"
    return ReplicaPermit(
        law, why, replica.name, replica.guid, replica.snapshots, str(way.job), way.source, fence=way.fence
    )


@dataclass(frozen=True, slots=True)
class Stays:
    """The replica of a vanished volume stays: by a law, for a reason, and ``until`` its grace ends (unix time).

    ``again``: what kept it when its grace was over has gone, and its last day begins again.
    """

    law: Law
    why: str
    until: float | None = None
    again: bool = False


def decide_vanished(
    way: Direction, replica: Dataset, record: Vanished | None, terms: Terms, on_source: Inventory | None,
    left_out: Collection[str] = (), below: str | None = None,
) -> ReplicaPermit | KeepAside | Stays:  # fmt: skip
    """Permit the replica of a vanished volume when its grace is over and nothing on the source continues it.

    Args:
        way: the job.
        replica: the replica, as this run found it.
        record: how long it has waited; None: this is not known.
        terms: the job's.
        on_source: all datasets in the pools of the source's storages, with bookmarks; None: they were not read.
        left_out: datasets of the source that the settings leave out of the job, and that no other guest has.
        below: another replica that lies below it, if any.
    """
    if record is None or record.guid != replica.guid:
        return Stays(Law.VANISHED, "its volume vanished from the source")
    if not is_over(record, terms):
        return Stays(Law.VANISHED, "its volume vanished from the source", end_of(record, terms))
    stays = _stays(way, replica, on_source, left_out)
    if stays is None and below is not None:
        stays = Stays(Law.VANISHED, f"its grace is over, and '{below}' lies below it")
    if stays is not None:
        return stays
    try:
        decision = decide_removal(way, replica, Law.VANISHED)
    except TargetActiveError as error:
        return Stays(Law.IN_USE, error.what)
    if is_announced_again(record, terms):
        return Stays(Law.VANISHED, "its end is announced again", again=True)
    return decision if isinstance(decision, KeepAside) else replace(decision, why="its volume's grace is over")


def _stays(way: Direction, replica: Dataset, on_source: Inventory | None, left_out: Collection[str]) -> Stays | None:
    """Return why a replica stays although its grace is over; None if nothing keeps it."""
    if on_source is None:
        return Stays(Law.UNKNOWN, "its grace is over, and the source was not read")
    if not is_marked(way, replica):
        return Stays(Law.OURS, "its grace is over, and its marks are not this job's")
    if not is_replica_brought(way, replica):
        return Stays(Law.OURS, f"its grace is over, and {way.source} does not know that it sent what is in it")
    if replica.origin is not None:
        return Stays(Law.OTHERS, f"its grace is over, and it is a clone of {replica.origin}")
    if others := continues_as(replica, on_source, left_out):
        return Stays(Law.VANISHED, f"it continues on {way.source} as {', '.join(others)}")
    return Stays(Law.IN_USE, "its grace is over, and it is mounted") if replica.mounted else None


def decide_aside(
    way: Direction, aside: Aside, grace: float, stale: Collection[int], waited: float | None
) -> SnapshotsPermit | ReplicaPermit | None:
    """Permit what is not needed any more of a replica that was set aside; None: all of it stays.

    Restore points that a rollback on the source made stale age by ``keep`` like the others, but are kept for the job's
    grace at least. An aside goes when nothing is left in it. Whatever else it holds waits for a person.

    Args:
        way: the job, which has proven a newer set.
        aside: the replica that was set aside, as this run found it.
        grace: the job's, in seconds.
        stale: the sets that ``keep`` does not want any more (unix times).
        waited: the seconds that it has waited, as runs counted them; None: no run has seen it before.
    """
    dataset = aside.dataset
    over = waited is not None and waited >= grace
    if not over or not is_marked(way, dataset) or dataset.mounted or dataset.readonly is not True:
        return None
    whole = ReplicaPermit(
        Law.OURS, "nothing is left in it", dataset.name, dataset.guid, dataset.snapshots, str(way.job), way.source,
        fence=way.fence,
    )  # fmt: skip
    if aside.holds is None:
        return whole
    if aside.holds is not Holds.POINTS or not all(each.guid in way.known.sent for each in aside.kept):
        return None
    unwanted = tuple(each for each in aside.kept if each.set_time in stale)
    why = "a rollback on the source made it stale, and keep does not want it"
    if unwanted == aside.kept:
        return replace(whole, law=Law.PROVEN_STAYS, why=why)
    if not unwanted or aside.late:  # what was taken of it since would hold the bytes of a set that goes
        return None
    return SnapshotsPermit(Law.PROVEN_STAYS, why, dataset.name, unwanted, way.fence)


def decide_diverged(dataset: str, guid: int, snapshots: tuple[Snapshot, ...], job: JobId) -> ReplicaPermit:
    """Permit a diverged replica of a job that a person orders to be destroyed, with the snapshots that were shown."""
    why = "a person asked for it"
    return ReplicaPermit(Law.ONLY_COPY, why, dataset, guid, snapshots, str(job), None, kept_aside=True)


def decide_clone(dataset: str, guid: int, mark: str, source: str | None, *, closed: bool) -> ReplicaPermit:
    """Permit a clone that a person opened and ``closed``, or one of a drill, which stays if it is writable."""
    why = "a person closed it" if closed else "its drill is over"
    return ReplicaPermit(Law.OURS, why, dataset, guid, (), mark, source, kept_aside=closed)


def decide_opened(dataset: str, snapshots: Iterable[Snapshot]) -> SnapshotsPermit:
    """Permit the snapshots that zsr took of what is kept aside, to open it, when a person has closed it."""
    return SnapshotsPermit(Law.OURS, "taken to open it, and a person closed it", dataset, tuple(snapshots))


def decide_half_received(target: Dataset, token: str, why: str) -> HalfReceivedPermit:
    """Permit to drop the half-received state of a replica: the source still has all that is in it."""
    return HalfReceivedPermit(Law.OURS, why, target.name, token)
