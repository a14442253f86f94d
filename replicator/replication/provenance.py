"""Provenance of a dataset on the target: whose it is, whether it is in use, and the errors that refuse it. Pure.

Which node owns a guest, by owner and epoch, is another question: see `replicator.zfs.fence`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from replicator.common.snapshot_patterns import Travelling
from replicator.errors import TargetActiveError
from replicator.ids import entry_of
from replicator.models import JobId, KnownSets, Volume
from replicator.zfs.fence import Fence
from replicator.zfs.model import PLACEHOLDER, Dataset, Inventory, Snapshot, SnapshotLike
from replicator.zfs.snapshot_names import is_adopted_name


@dataclass(frozen=True, slots=True)
class Direction:
    """The job and nodes of a plan's replicas.

    Attributes:
        job, source, target: the job, its source node and its target node.
        known: what the source node remembers of the job's sets.
        fence: owner and epoch of the guest, which a dataset's stamps must pass before it is destroyed.
        marks_late: the target's ZFS cannot set properties while it receives (before OpenZFS 0.7), so a run that died
            may have left a replica without its marks.
        snapshots: which snapshots travel, as the job says.
    """

    job: JobId
    source: str
    target: str
    known: KnownSets = KnownSets()
    marks_late: bool = False
    fence: Fence | None = None
    snapshots: str = Travelling.ALL


def is_marked(way: Direction, target: Dataset) -> bool:
    """Return whether a dataset has the marks (``zsr:job``, ``zsr:source``) of this job's replicas from this node."""
    return target.job == str(way.job) and target.source == way.source


def is_placeholder(way: Direction, target: Dataset) -> bool:
    """Return whether a dataset was made by this job's node only because replicas lie below it; nothing is in it."""
    return target.job == PLACEHOLDER and target.source == way.source and not target.snapshots


def opened_mark(job: JobId) -> str:
    """Return the ``zsr:job`` of a clone of a job's restore point; it is none of the job's replicas."""
    return f"opened:{job}"


OPENED_ASIDE = "opened-aside"
"""The ``zsr:job`` of a clone of what is kept aside; its name says of what."""


def drill_mark(job: JobId) -> str:
    """Return the ``zsr:job`` of a clone that a drill made of a job's restore point."""
    return f"drill:{job}"


def shares_set(job: JobId, target: Dataset, source: Dataset | None) -> bool:
    """Return whether a dataset has a snapshot of this job that the source has too."""
    return source is not None and any(
        snapshot.job == job and source.by_guid(snapshot.guid) is not None for snapshot in target.snapshots
    )


def sets_of(job: JobId, dataset: Dataset | None) -> dict[int, Snapshot]:
    """Return a job's snapshots of a dataset, by the time in their name."""
    found = () if dataset is None else dataset.snapshots
    return {s.set_time: s for s in found if s.job == job and s.set_time is not None}


def is_made(way: Direction, source: Dataset, snapshot: Snapshot) -> bool:
    """Return whether this node's zsr took a snapshot of the job that is on the source.

    Another tool may use the same name. This node remembers its sets; if it has lost its memory, the snapshot's own mark
    counts, except on a dataset that may have been a replica.
    """
    if snapshot.job != way.job:
        return False
    marked = not source.may_be_replica and snapshot.source == way.source
    return way.known.by_name or marked or snapshot.set_time in way.known.taken


def is_brought(way: Direction, source: Dataset, snapshot: Snapshot) -> bool:
    """Return whether this node brought a snapshot with a name of zsr's to the target, or a person adopted it there."""
    if snapshot.job is None:
        return is_adopted_name(snapshot.name) and snapshot.guid in way.known.sent
    if way.known.by_name or snapshot.guid in way.known.sent or snapshot.guid in way.known.inherited:
        return True
    origin = source.by_guid(snapshot.guid)
    if origin is not None:
        return is_made(way, source, origin)
    return snapshot.job == way.job and snapshot.set_time in way.known.taken


def is_foreign_brought(way: Direction, snapshot: Snapshot) -> bool:
    """Return whether this node brought a snapshot of others to the target: its GUID was recorded when it was sent."""
    others = snapshot.job is None and not is_adopted_name(snapshot.name)
    return others and not snapshot.made_here and snapshot.guid in way.known.sent


def is_replica_brought(way: Direction, replica: Dataset) -> bool:
    """Return whether this node brought the sets of a replica whose volume is gone from the source.

    The marks do not say that: the replica may have been left behind when an earlier job of the same number was deleted,
    or be of another cluster with the same numbers and names. So one of its snapshots at least must be known by its
    GUID; a set that arrived last may be known by its time only. A replica without a snapshot has nothing to bring.
    """
    known = way.known
    if known.by_name or not replica.snapshots:
        return True
    return any(each.guid in known.sent for each in replica.snapshots) and all(
        each.guid in known.sent or each.set_time in known.taken for each in replica.snapshots if each.job == way.job
    )


def is_others_by_memory(way: Direction, replica: Dataset) -> bool:
    """Return whether this node remembers what it brought, and nothing of a replica is of that, whatever its marks say.

    It was left behind by an earlier job of the same number (``zsr delete --keep``), or is of another cluster with the
    same numbers and names.
    """
    known = way.known
    brought = known.sent | known.inherited
    if known.by_name or not brought or not replica.snapshots:
        return False
    return not any(
        each.guid in brought or (each.job == way.job and each.set_time in known.taken) for each in replica.snapshots
    )


def not_brought(way: Direction, source: Dataset, target: Dataset | None) -> list[Snapshot]:
    """Return the snapshots on the target with a name of zsr's that this node does not know to have sent."""
    found = () if target is None else target.snapshots
    return [s for s in found if s.job is not None and not is_brought(way, source, s)]


def continues_as(replica: Dataset, on_source: Inventory, left_out: Collection[str] = ()) -> tuple[str, ...]:
    """Return the datasets of the source node that have a snapshot in common with a replica, or a bookmark of one.

    A dataset that is ``left_out`` by its settings does not count, nor does the replica itself, where one machine plays
    both nodes.
    """
    guids = {snapshot.guid for snapshot in replica.snapshots}
    return tuple(
        name
        for name, each in sorted(on_source.datasets.items())
        if name not in left_out
        and each.guid != replica.guid
        and any(mark.guid in guids for mark in (*each.snapshots, *each.bookmarks))
    )


def is_unproven(snapshot: SnapshotLike, known: KnownSets) -> bool:
    """Return whether a snapshot is of a set that this node took after the last proven one.

    A set that this node does not remember taking may be another owner's, or a restore point. One that it took when the
    job had another target says nothing here: it may have been proven in an earlier time of this target.
    """
    return snapshot.set_time in never_whole(known)


def never_whole(known: KnownSets) -> frozenset[int]:
    """Return the sets that this node took after the last proven one; see `is_unproven`."""
    newest = max((at for at in (known.proven, known.elsewhere) if at is not None), default=None)
    return frozenset(at for at in known.taken if newest is None or at > newest)


def foreign(
    way: Direction, volume: Volume, source: Dataset, target: Dataset, base: SnapshotLike | None
) -> TargetActiveError | None:
    """Return the error of a dataset that has a volume's name and is not this job's replica; None if it is.

    ``base`` is the newest snapshot that both have, if any.
    """
    late_below = way.marks_late and "/" in volume.name  # until it has marks of its own, those above it show
    unmarked = target.job is None and (not target.borrowed_marks or late_below)
    if is_marked(way, target) or (unmarked and _marks_were_late(way, source, target)):
        return None
    adopt = f" If it is a replica of this guest, adopt it: zsr adopt {way.job}." if base is not None else ""
    if target.job is None:
        shares = "shares a snapshot with the source" if base is not None else "shares no snapshot with the source"
        why = f"{shares} and has no zsr:job property: it may be the guest's own volume, or another tool's replica"
        if target.borrowed_marks:
            why = f"{shares}, and its zsr:job was received or inherited: it may be a copy of a replica, or below one"
        return _active(way, target, volume, why, f"{_if_moved(way)}{adopt or _OTHERWISE}")
    if target.job != str(way.job):
        why = f"is a replica of job {target.job}"
        return _active(way, target, volume, why, "Let only one of the two jobs replicate this volume there.")
    why = f"is a replica of job {target.job} from node {target.source or '(none)'}, not from {way.source}"
    apart = "Give each source a path of its own on that node (storages.NAME.paths in the cluster file)."
    return _active(way, target, volume, why, f"{adopt.strip() or apart} zsr does not touch it until then.")


def _marks_were_late(way: Direction, source: Dataset, target: Dataset) -> bool:
    begun = not target.snapshots and target.token is not None  # its token is compared with the source's snapshots
    return begun or (way.marks_late and shares_set(way.job, target, source))


_OTHERWISE = " Otherwise rename it there (zfs rename); the volume is then sent in full."


def _if_moved(way: Direction) -> str:
    guest = way.job.guest
    return (
        f"Do not remove anything. If guest {guest} was moved to {way.target}, set {entry_of(guest)}.node = "
        f'"{way.target}" in the cluster file of every node. If guest {guest} was recovered on {way.source}, make it a '
        f"replica: zsr guest release {guest}, typed on {way.target}."
    )


def writable(way: Direction, target: Dataset, volume: Volume | None) -> TargetActiveError:
    """Return the error of a replica that is in use; the advice depends on whether the guest was moved there."""
    back = f"Otherwise make it a replica again: zfs set readonly=on {target.name}, on {way.target}."
    why = "is a replica, but writable (readonly=off): it is in use there"
    return _active(way, target, volume, why, f"{_if_moved(way)} {back}")


def written_to(way: Direction, target: Dataset, volume: Volume | None) -> TargetActiveError:
    """Return the error of a replica that was written to and would have to be destroyed."""
    keep = (
        f"Or keep it, without zsr's mark: zfs inherit zsr:job {target.name}, on {way.target}; if it lies below another "
        "replica, move it away before (zfs rename)."
    )
    return _active(way, target, volume, "was written to there, so it is not destroyed", f"{_if_moved(way)} {keep}")


def _active(way: Direction, target: Dataset, volume: Volume | None, why: str, advice: str) -> TargetActiveError:
    return TargetActiveError(
        f"Dataset '{target.name}' on node {way.target} {why}.",
        node=way.target,
        volume=None if volume is None else str(volume),
        advice=advice,
    )
