"""The plan of a run: what each volume needs, decided from the facts of both sides alone (DESIGN 4, step 3). Pure.

A base is common only by GUID. What is in the way on a replica is rolled back where only sets that this node sent and
never proved would go, and kept aside otherwise. A dataset without this job's and this node's marks is a conflict.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from replicator.errors import TargetActiveError, ZsrError
from replicator.models import DIVERGED_DATASET, JobId, Volume
from replicator.replication.ownership import Direction, foreign, is_marked, is_unproven, writable
from replicator.zfs.model import Bookmark, Dataset, Snapshot, SnapshotLike


@dataclass(frozen=True, slots=True)
class VolumePair:
    """One volume as found: facts on the source, path, name and facts on the target."""

    volume: Volume
    target_path: str
    source: Dataset
    target_name: str
    target: Dataset | None


@dataclass(frozen=True, slots=True)
class Rollback:
    """Take the replica back to a snapshot: all newer ones are of sets that this node sent and never proved."""

    to: Snapshot


@dataclass(frozen=True, slots=True)
class SetAside:
    """Keep the replica as it is under another name; ``base``, its snapshot, begins the new one (None: nothing does)."""

    base: Snapshot | None


@dataclass(frozen=True, slots=True)
class CloneFromDiverged:
    """Finish what a run that died while putting aside began: make the replica out of what is aside."""

    aside: str
    base: Snapshot


@dataclass(frozen=True, slots=True)
class Promote:
    """Finish what a run that died while putting aside began: the replica is a clone of what is aside."""


@dataclass(frozen=True, slots=True)
class Rename:
    """The source's volume was renamed: give its replica the new name too."""

    old: str


@dataclass(frozen=True, slots=True)
class MoveAway:
    """Volumes swapped their names: move the replica that has this volume's name out of the way, to be renamed later."""

    to: str


@dataclass(frozen=True, slots=True)
class TagForeignSnapshots:
    """Mark snapshots that somebody took on the replica, while they can still be told from those that travelled."""

    names: tuple[str, ...]


Preparation = Rollback | SetAside | CloneFromDiverged | Promote | Rename | MoveAway | TagForeignSnapshots


@dataclass(frozen=True, slots=True)
class Full:
    """Send the whole volume."""

    pair: VolumePair
    preparations: tuple[Preparation, ...] = ()


@dataclass(frozen=True, slots=True)
class Incremental:
    """Send what came since the base, which is on the target (a snapshot) and on the source (a bookmark may do)."""

    pair: VolumePair
    base: SnapshotLike
    preparations: tuple[Preparation, ...] = ()


@dataclass(frozen=True, slots=True)
class Conflict:
    """Nothing may be done with this volume; the error says why and what to do."""

    pair: VolumePair
    error: ZsrError


Action = Full | Incremental | Conflict


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run will do if there are no ``conflicts``.

    ``orphans`` are this job's replicas whose volume is gone from the source.
    """

    actions: tuple[Full | Incremental, ...]
    conflicts: tuple[Conflict, ...] = ()
    orphans: tuple[Dataset, ...] = ()


def make_plan(
    way: Direction, volumes: Sequence[VolumePair], orphans: Iterable[Dataset] = (), aside: Iterable[Dataset] = ()
) -> Plan:
    """Return the plan for all volumes of a guest.

    Args:
        way: whose replicas it is about.
        volumes: the guest's volumes.
        orphans: replicas of the job that belong to none of them by name.
        aside: what was kept aside of the job's replicas.
    """
    kept = tuple(aside)
    free = _free_replicas(way, volumes, orphans)
    planned: list[Action] = []
    renamed: set[str] = set()
    for pair in volumes:
        left = [replica for replica in free if replica.name not in renamed and replica is not pair.target]
        action = _plan_volume(way, pair, left, kept)
        if any(replica is pair.target for replica in free):  # its name may be another volume's now
            moved = _plan_volume(way, replace(pair, target=None), left, ())
            action = moved if _renamed_by(moved) else action
        planned.append(action)
        renamed |= _renamed_by(action)
    for index, action in enumerate(planned):  # whose replica goes to another volume is received anew
        if action.pair.target is not None and action.pair.target_name in renamed and not _renamed_by(action):
            planned[index] = Full(replace(action.pair, target=None))
    return Plan(
        actions=_in_order([action for action in planned if not isinstance(action, Conflict)]),
        conflicts=tuple(action for action in planned if isinstance(action, Conflict)),
        orphans=tuple(orphan for orphan in orphans if orphan.name not in renamed),
    )


def _in_order(actions: Sequence[Full | Incremental]) -> tuple[Full | Incremental, ...]:
    """Renamings first, and so that a name is given up before it is taken; where names go round, one is parked."""
    waiting = [action for action in actions if _renamed_by(action)]
    done: list[Full | Incremental] = []
    while waiting:
        olds = set().union(*(_renamed_by(action) for action in waiting))
        at = next((i for i, action in enumerate(waiting) if action.pair.target_name not in olds), None)
        if at is None:
            at = 0
            name = waiting[0].pair.target_name
            parked = f"{waiting[0].pair.target_path}/{DIVERGED_DATASET}/{name.rpartition('/')[2]}-parked"
            waiting = [_with_parked(action, name, parked) for action in waiting]
        done.append(waiting.pop(at))
    return (*done, *(action for action in actions if not _renamed_by(action)))


def _with_parked(action: Full | Incremental, name: str, parked: str) -> Full | Incremental:
    steps: tuple[Preparation, ...] = tuple(
        Rename(parked) if step == Rename(name) else step for step in action.preparations
    )
    if action.pair.target_name == name:
        steps = (MoveAway(parked), *steps)
    return replace(action, preparations=steps)


def _free_replicas(way: Direction, volumes: Sequence[VolumePair], orphans: Iterable[Dataset]) -> list[Dataset]:
    """The replicas that no volume goes on with: those without a volume, and those whose name a new volume took."""
    taken = [
        pair.target
        for pair in volumes
        if pair.target is not None and is_marked(way, pair.target) and choose_base(pair.source, pair.target) is None
    ]
    return [*orphans, *taken]


def _renamed_by(action: Action) -> set[str]:
    if isinstance(action, Conflict):
        return set()
    return {step.old for step in action.preparations if isinstance(step, Rename)}


def refuse_foreign(way: Direction, volumes: Iterable[VolumePair]) -> None:
    """Raise the error of the first volume whose name on the target another dataset has.

    Raises:
        TargetActiveError: it bears no marks, or those of another job or source.
    """
    for pair in volumes:
        error = None if pair.target is None else _foreign(way, pair, pair.target)
        if error is not None:
            raise error


def _foreign(way: Direction, pair: VolumePair, target: Dataset) -> TargetActiveError | None:
    same_kind = target.is_volume == pair.source.is_volume
    return foreign(way, pair.volume, pair.source, target, choose_base(pair.source, target) if same_kind else None)


def choose_base(source: Dataset, target: Dataset) -> SnapshotLike | None:
    """The base: the newest snapshot that both sides have by GUID, or bookmark of one that the target has.

    Whoever made it; a snapshot rather than its own bookmark.
    """
    common: list[SnapshotLike] = [mark for mark in source.snapshots if target.by_guid(mark.guid) is not None]
    known = {mark.guid for mark in common}
    common += [mark for mark in source.bookmarks if mark.guid not in known and target.by_guid(mark.guid) is not None]
    return max(common, key=lambda mark: mark.createtxg, default=None)


def _plan_volume(way: Direction, pair: VolumePair, free: Sequence[Dataset], aside: Sequence[Dataset]) -> Action:
    target = pair.target
    if target is None:
        return _without_target(way, pair, free, aside)
    if (error := _foreign(way, pair, target)) is not None:
        return Conflict(pair, error)
    base = choose_base(pair.source, target) if target.is_volume == pair.source.is_volume else None
    if target.job is not None and target.readonly is False:
        return Conflict(pair, writable(way, target, pair.volume))
    if base is not None:
        return _onto_base(way, pair, target, base)
    grown = None if target.snapshots else _half_grown(pair.source, target, aside)
    if grown is not None:
        return Incremental(pair, grown, (Promote(),))
    return Conflict(pair, _mounted(pair)) if target.mounted else Full(pair, (SetAside(None),))


def _without_target(way: Direction, pair: VolumePair, free: Sequence[Dataset], aside: Sequence[Dataset]) -> Action:
    place = f"{pair.target_path}/"
    for orphan in free:
        if not orphan.name.startswith(place) or orphan.token is not None:
            continue
        if orphan.is_volume == pair.source.is_volume and choose_base(pair.source, orphan) is not None:
            renamed = _plan_volume(way, replace(pair, target=orphan), (), ())
            if isinstance(renamed, Conflict):
                return renamed
            moved = replace(pair, target=replace(orphan, name=pair.target_name))
            return replace(renamed, pair=moved, preparations=(Rename(orphan.name), *renamed.preparations))
    for kept in reversed(aside):
        base = choose_base(pair.source, kept)
        there = None if base is None else kept.by_guid(base.guid)
        fits = kept.is_volume == pair.source.is_volume and kept.name.startswith(place)
        if base is not None and there is not None and fits:
            return Incremental(pair, base, (CloneFromDiverged(kept.name, there), Promote()))
    return Full(pair)


def _half_grown(source: Dataset, target: Dataset, aside: Sequence[Dataset]) -> SnapshotLike | None:
    """The base in what is aside, of which the target is a clone that was not yet promoted."""
    for kept in aside:
        base = choose_base(source, kept)
        there = None if base is None else kept.by_guid(base.guid)
        if there is not None and target.origin == f"{kept.name}@{there.name}":
            return base
    return None


def _onto_base(way: Direction, pair: VolumePair, target: Dataset, base: SnapshotLike) -> Action:
    """Receive goes only onto the target's newest snapshot: what is newer there decides."""
    there = target.by_guid(base.guid)
    if there is None:
        raise AssertionError("a base is on both sides")
    newer = [snapshot for snapshot in target.snapshots if snapshot.createtxg > there.createtxg]
    # Writes without a snapshot are found out by receive itself, which refuses; snapshots without writes it lets stay.
    if all(snapshot.job is None and snapshot.written == 0 for snapshot in newer):
        unmarked = tuple(snapshot.name for snapshot in newer if not snapshot.made_here)
        return Incremental(pair, base, (TagForeignSnapshots(unmarked),) if unmarked else ())
    # Proven sets are restore points, and a set that this node did not take may hold what another owner wrote last.
    ours = all(snapshot.job == way.job and is_unproven(snapshot, way.known) for snapshot in newer)
    if target.written or not ours:
        return set_aside(pair, base)
    return Incremental(pair, base, (Rollback(there),))


def set_aside(pair: VolumePair, base: SnapshotLike) -> Action:
    """Keep the replica as it is, and go on from the base without a copy."""
    if pair.target is None or (there := pair.target.by_guid(base.guid)) is None:
        raise AssertionError("a base is on both sides")
    if pair.target.mounted:
        return Conflict(pair, _mounted(pair))
    return Incremental(pair, base, (SetAside(there), Promote()))


def left_on_target(action: Full | Incremental) -> VolumePair:
    """The volume as it will be after the action's preparations: what they take away holds no set any more."""
    pair = action.pair
    if pair.target is None or all(isinstance(step, TagForeignSnapshots) for step in action.preparations):
        return pair
    if isinstance(action, Full):
        return replace(pair, target=None)
    there = pair.target.by_guid(action.base.guid)
    kept = [s for s in pair.target.snapshots if there is not None and s.createtxg <= there.createtxg]
    return replace(pair, target=replace(pair.target, snapshots=tuple(kept)))


def held_on_target(action: Full | Incremental, aside: Iterable[Dataset]) -> VolumePair:
    """Return the volume with all that the target holds of it, also in what was kept aside of its replica.

    A set that a rollback on the source made stale lies there; it is no less proven than before.
    """
    pair = action.pair
    regrown = {step.aside for step in action.preparations if isinstance(step, CloneFromDiverged)}
    kept = [
        each
        for each in aside
        if each.name in regrown or (each.origin is not None and each.origin.startswith(f"{pair.target_name}@"))
    ]
    if not kept:
        return pair
    there = pair.target or replace(kept[0], name=pair.target_name, snapshots=())
    snapshots = (*there.snapshots, *(snapshot for each in kept for snapshot in each.snapshots))
    return replace(pair, target=replace(there, snapshots=tuple(sorted(snapshots, key=lambda each: each.createtxg))))


def bookmarks_of(job: JobId, bookmarks: Iterable[Bookmark]) -> list[Bookmark]:
    """The bookmarks that a job made."""
    return [mark for mark in bookmarks if mark.job == job]


def _mounted(pair: VolumePair) -> TargetActiveError:
    return TargetActiveError(
        f"Dataset '{pair.target_name}' on the target is mounted, and has to be put aside since it differs from the "
        "source.",
        volume=str(pair.volume),
        advice="Unmount it there (zfs unmount); the next run then goes on.",
    )
