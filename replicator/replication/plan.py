"""The plan of a run: an action for each volume, from the inventories of both sides (contract: One run, step 3). Pure.

Source and target share a base only by GUID. A replica with something newer than the base is rolled back if that
destroys only sets that this node sent and never proved; otherwise it is set aside. A dataset without this job's and
this node's marks is a conflict.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from replicator.errors import TargetActiveError, ZsrError
from replicator.models import Volume
from replicator.replication.destruction import decide_rollback
from replicator.replication.ownership import Direction, foreign, is_marked, writable
from replicator.zfs.dataset_names import DIVERGED_DATASET
from replicator.zfs.model import Dataset, Snapshot, SnapshotLike
from replicator.zfs.permits import RollbackPermit


@dataclass(frozen=True, slots=True)
class VolumePair:
    """One volume: its dataset on the source, and the storage path, name and dataset on the target.

    ``place`` is the dataset on the target below which the replica lies or will lie; None if it was not listed.
    ``reseed`` is the new replica in the making, if ``zsr reseed`` has begun one.
    """

    volume: Volume
    target_path: str
    source: Dataset
    target_name: str
    target: Dataset | None
    place: Dataset | None = None
    reseed: Dataset | None = None


@dataclass(frozen=True, slots=True)
class Rollback:
    """Roll the replica back, as far as a permit allows."""

    permit: RollbackPermit


@dataclass(frozen=True, slots=True)
class SetAside:
    """Keep the replica under another name; a clone of its snapshot ``base`` becomes the new one (None: none does)."""

    base: Snapshot | None


@dataclass(frozen=True, slots=True)
class CloneFromDiverged:
    """Continue after a run that died while setting aside: clone the replica from the diverged one, ``aside``."""

    diverged: str
    base: Snapshot
    aside: Dataset | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Promote:
    """Make the replica independent of the diverged one of which it is a clone."""


@dataclass(frozen=True, slots=True)
class Rename:
    """Rename the replica: the source's volume was renamed."""

    old: str


@dataclass(frozen=True, slots=True)
class MoveAway:
    """Move the replica that has this volume's name out of the way: volumes swapped names, and it is renamed later."""

    to: str


@dataclass(frozen=True, slots=True)
class TagForeignSnapshots:
    """Tag snapshots created on the replica itself, before they become indistinguishable from replicated ones."""

    names: tuple[str, ...]


Preparation = Rollback | SetAside | CloneFromDiverged | Promote | Rename | MoveAway | TagForeignSnapshots


@dataclass(frozen=True, slots=True)
class Full:
    """Send the whole volume."""

    pair: VolumePair
    preparations: tuple[Preparation, ...] = ()


@dataclass(frozen=True, slots=True)
class Incremental:
    """Send what was written since the base, a snapshot on the target and a snapshot or bookmark on the source."""

    pair: VolumePair
    base: SnapshotLike
    preparations: tuple[Preparation, ...] = ()


@dataclass(frozen=True, slots=True)
class Conflict:
    """Leave the volume alone; the error says why and what to do."""

    pair: VolumePair
    error: ZsrError


Action = Full | Incremental | Conflict


@dataclass(frozen=True, slots=True)
class Plan:
    """The actions of a run, done only if there are no ``conflicts``.

    ``orphans`` are this job's replicas whose volume is gone from the source.
    """

    actions: tuple[Full | Incremental, ...]
    conflicts: tuple[Conflict, ...] = ()
    orphans: tuple[Dataset, ...] = ()

    @property
    def has_full_copy(self) -> bool:
        """Whether a volume is sent in full, or the rest of such a transfer."""
        return any(isinstance(action, Full) for action in self.actions)


def make_plan(
    way: Direction, volumes: Sequence[VolumePair], orphans: Iterable[Dataset] = (), diverged: Iterable[Dataset] = ()
) -> Plan:
    """Return the plan for all volumes of a guest.

    Args:
        way: the job and nodes.
        volumes: the guest's volumes.
        orphans: replicas of the job whose name none of the volumes has.
        diverged: replicas of the job that were set aside.
    """
    kept = tuple(diverged)
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
    for index, action in enumerate(planned):  # a volume whose replica goes to another volume is sent in full
        if action.pair.target is not None and action.pair.target_name in renamed and not _renamed_by(action):
            planned[index] = Full(replace(action.pair, target=None))
    return Plan(
        actions=_in_order([action for action in planned if not isinstance(action, Conflict)]),
        conflicts=tuple(action for action in planned if isinstance(action, Conflict)),
        orphans=tuple(orphan for orphan in orphans if orphan.name not in renamed),
    )


def _in_order(actions: Sequence[Full | Incremental]) -> tuple[Full | Incremental, ...]:
    """Put renames first, freeing each name before it is used; in a cycle of names, one replica is moved away."""
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
    """Return the replicas that no volume continues: those without a volume, and those whose name a new volume has."""
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
    """Raise the error of the first volume whose name on the target belongs to another dataset.

    Raises:
        TargetActiveError: the dataset has no marks, or those of another job or source.
    """
    for pair in volumes:
        error = None if pair.target is None else _foreign(way, pair, pair.target)
        if error is not None:
            raise error


def _foreign(way: Direction, pair: VolumePair, target: Dataset) -> TargetActiveError | None:
    same_kind = target.is_volume == pair.source.is_volume
    return foreign(way, pair.volume, pair.source, target, choose_base(pair.source, target) if same_kind else None)


def choose_base(source: Dataset, target: Dataset) -> SnapshotLike | None:
    """Return the base: the newest snapshot that both sides have by GUID, or a bookmark of one that the target has.

    Any tool may have made it. A snapshot is preferred to its own bookmark.
    """
    common: list[SnapshotLike] = [each for each in source.snapshots if target.by_guid(each.guid) is not None]
    known = {each.guid for each in common}
    common += [each for each in source.bookmarks if each.guid not in known and target.by_guid(each.guid) is not None]
    return max(common, key=lambda each: each.createtxg, default=None)


def needs_bookmarks(pair: VolumePair) -> bool:
    """Return whether a bookmark of the source may be a newer base than any of its snapshots."""
    if pair.target is None or (base := choose_base(pair.source, pair.target)) is None:
        return True
    common = pair.target.by_guid(base.guid)
    return common is None or any(s.job is not None and s.createtxg > common.createtxg for s in pair.target.snapshots)


def _plan_volume(way: Direction, pair: VolumePair, free: Sequence[Dataset], diverged: Sequence[Dataset]) -> Action:
    target = pair.target
    if target is None:
        return _without_target(way, pair, free, diverged)
    if (error := _foreign(way, pair, target)) is not None:
        return Conflict(pair, error)
    base = choose_base(pair.source, target) if target.is_volume == pair.source.is_volume else None
    if target.job is not None and target.readonly is False:
        return Conflict(pair, writable(way, target, pair.volume))
    if base is not None:
        return _onto_base(way, pair, target, base)
    clone_of = None if target.snapshots else _unpromoted_base(pair.source, target, diverged)
    if clone_of is not None:
        return Incremental(pair, clone_of, (Promote(),))
    return Conflict(pair, _mounted(pair)) if target.mounted else Full(pair, (SetAside(None),))


def _without_target(way: Direction, pair: VolumePair, free: Sequence[Dataset], diverged: Sequence[Dataset]) -> Action:
    place = f"{pair.target_path}/"
    for orphan in free:
        if not orphan.name.startswith(place) or orphan.token is not None:
            continue
        if orphan.is_volume == pair.source.is_volume and choose_base(pair.source, orphan) is not None:
            root = pair.target_name if orphan.encryption_root == orphan.name else orphan.encryption_root
            moved = replace(orphan, name=pair.target_name, encryption_root=root)  # what follows meets the new name
            renamed = _plan_volume(way, replace(pair, target=moved), (), ())
            if isinstance(renamed, Conflict):
                return _plan_volume(way, replace(pair, target=orphan), (), ())
            return replace(renamed, preparations=(Rename(orphan.name), *renamed.preparations))
    for kept in reversed(diverged):
        base = choose_base(pair.source, kept)
        base_on_target = None if base is None else kept.by_guid(base.guid)
        fits = kept.is_volume == pair.source.is_volume and kept.name.startswith(place)
        if base is not None and base_on_target is not None and fits:
            return Incremental(pair, base, (CloneFromDiverged(kept.name, base_on_target, kept), Promote()))
    return Full(pair)


def _unpromoted_base(source: Dataset, target: Dataset, diverged: Sequence[Dataset]) -> SnapshotLike | None:
    """Return the base in a diverged replica of which the target is a clone that was not promoted yet."""
    for kept in diverged:
        base = choose_base(source, kept)
        base_on_target = None if base is None else kept.by_guid(base.guid)
        if base_on_target is not None and target.origin == f"{kept.name}@{base_on_target.name}":
            return base
    return None


def _onto_base(way: Direction, pair: VolumePair, target: Dataset, base: SnapshotLike) -> Action:
    """Plan an incremental: receive accepts only the target's newest snapshot as base, so newer ones decide."""
    base_on_target = target.by_guid(base.guid)
    if base_on_target is None:
        raise AssertionError("a base is on both sides")
    newer = [snapshot for snapshot in target.snapshots if snapshot.createtxg > base_on_target.createtxg]
    # Receive itself refuses a replica with writes after its newest snapshot, and accepts snapshots without writes.
    if all(snapshot.job is None and snapshot.written == 0 for snapshot in newer):
        unmarked = tuple(snapshot.name for snapshot in newer if not snapshot.made_here)
        return Incremental(pair, base, (TagForeignSnapshots(unmarked),) if unmarked else ())
    permit = decide_rollback(way, target, base_on_target)
    return set_aside(pair, base) if permit is None else Incremental(pair, base, (Rollback(permit),))


def set_aside(pair: VolumePair, base: SnapshotLike) -> Action:
    """Set the replica aside, and continue from the base without a full copy."""
    if pair.target is None or (base_on_target := pair.target.by_guid(base.guid)) is None:
        raise AssertionError("a base is on both sides")
    if pair.target.mounted:
        return Conflict(pair, _mounted(pair))
    return Incremental(pair, base, (SetAside(base_on_target), Promote()))


def left_on_target(action: Full | Incremental) -> VolumePair:
    """Return the volume as it will be after the action's preparations, which may destroy or move sets."""
    pair = action.pair
    if pair.target is None or all(isinstance(step, TagForeignSnapshots) for step in action.preparations):
        return pair
    if isinstance(action, Full):
        return replace(pair, target=None)
    base_on_target = pair.target.by_guid(action.base.guid)
    kept = [s for s in pair.target.snapshots if base_on_target is not None and s.createtxg <= base_on_target.createtxg]
    return replace(pair, target=replace(pair.target, snapshots=tuple(kept)))


def held_on_target(action: Full | Incremental, diverged: Iterable[Dataset]) -> VolumePair:
    """Return the volume with all its snapshots on the target, those in its diverged replicas included.

    A set that a rollback on the source made stale is there; it is no less proven than before. So is one in a replica
    that ``zsr reseed`` set aside before it could take the new one's set.
    """
    pair = action.pair
    folder = f"{pair.target_path}/{DIVERGED_DATASET}/{pair.volume.name.replace('/', '_')}"
    cloned = {step.diverged for step in action.preparations if isinstance(step, CloneFromDiverged)}
    kept = [
        each
        for each in diverged
        if each.name in cloned
        or (each.origin is not None and each.origin.startswith(f"{pair.target_name}@"))
        or (each.name.rpartition("-")[0] == folder and choose_base(pair.source, each) is not None)
    ]
    if not kept:
        return pair
    target = pair.target or replace(kept[0], name=pair.target_name, snapshots=())
    snapshots = (*target.snapshots, *(snapshot for each in kept for snapshot in each.snapshots))
    return replace(pair, target=replace(target, snapshots=tuple(sorted(snapshots, key=lambda each: each.createtxg))))


def _mounted(pair: VolumePair) -> TargetActiveError:
    return TargetActiveError(
        f"Dataset '{pair.target_name}' on the target is mounted, and must be set aside because it differs from "
        "the source.",
        volume=str(pair.volume),
        advice="Unmount it there (zfs unmount); the next run then continues.",
    )
