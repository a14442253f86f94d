"""The plan of a run: an action for each volume, from the inventories of both sides (contract: One run, step 3). Pure.

Source and target share a base only by GUID. A replica with something newer than the base is rolled back if that
destroys only sets that this node sent and never proved; otherwise it is set aside. A dataset without this job's and
this node's marks is a conflict.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from replicator.errors import TargetActiveError, ZsrError
from replicator.models import Volume
from replicator.replication.asides import reason
from replicator.replication.destruction import decide_rollback
from replicator.replication.provenance import Direction, foreign, is_marked, is_placeholder, writable
from replicator.replication.trees import BringBack, MoveAway, Rename, View, brought_back, in_order
from replicator.zfs.dataset_names import Holds, aside_stem, is_diverged
from replicator.zfs.model import Dataset, Snapshot, SnapshotLike, pool_of
from replicator.zfs.permits import RollbackPermit


@dataclass(frozen=True, slots=True)
class VolumePair:
    """One volume: its dataset on the source, and the storage path, name and dataset on the target.

    ``place`` is the dataset on the target below which the replica lies or will lie, other than a raw replica; None if
    it was not listed. ``reseed`` is the new replica in the making, if ``zsr reseed`` has begun one. ``above`` is the
    volume on the source below whose replica it lies, if there is one; ``is_below_raw``: the replica there is raw.
    """

    volume: Volume
    target_path: str
    source: Dataset
    target_name: str
    target: Dataset | None
    place: Dataset | None = None
    reseed: Dataset | None = None
    above: Dataset | None = None
    is_below_raw: bool = False


@dataclass(frozen=True, slots=True)
class Rollback:
    """Roll the replica back, as far as a permit allows."""

    permit: RollbackPermit


@dataclass(frozen=True, slots=True)
class SetAside:
    """Keep the replica under another name; a clone of its snapshot ``base`` becomes the new one (None: none does)."""

    base: Snapshot | None
    holds: Holds = Holds.DIVERGED


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
class TagForeignSnapshots:
    """Tag snapshots created on the replica itself, before they become indistinguishable from replicated ones."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Disown:
    """Take the mark off a replica that a person renamed on the target: it is theirs, under the name that it has."""

    name: str


Preparation = (
    Rollback | SetAside | CloneFromDiverged | Promote | Rename | MoveAway | TagForeignSnapshots | Disown | BringBack
)


@dataclass(frozen=True, slots=True)
class Full:
    """Send the whole volume; ``alone``: without the older snapshots of others."""

    pair: VolumePair
    preparations: tuple[Preparation, ...] = ()
    alone: bool = False


@dataclass(frozen=True, slots=True)
class Incremental:
    """Send what was written since the base, a snapshot on the target and a snapshot or bookmark on the source.

    Snapshots that travelled, and are ``outdated`` by others of their names, get other names before (`foreign_names`).
    """

    pair: VolumePair
    base: SnapshotLike
    preparations: tuple[Preparation, ...] = ()
    outdated: tuple[Snapshot, ...] = ()


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
    stems = {aside_stem(pair.target_path, pair.volume.name): pair.target_name for pair in volumes}
    view = brought_back(orphans, stems, {pair.target_name for pair in volumes if pair.target is not None})
    volumes = [replace(pair, target=pair.target or view.replicas.get(pair.target_name)) for pair in volumes]
    orphans = view.orphans(pair.target_name for pair in volumes)
    free = _free_replicas(way, volumes, orphans)
    planned, renamed = list[Action](), set[str]()
    for pair in volumes:
        left = [replica for replica in free if replica.name not in renamed and replica is not pair.target]
        action = _plan_volume(way, pair, left, kept)
        if any(replica is pair.target for replica in free):  # its name may be another volume's now
            moved = _plan_volume(way, replace(pair, target=None), left, ())
            action = moved if _renamed_by(moved) else action
        planned.append(action)
        renamed |= _renamed_by(action)
    for index, (pair, action) in enumerate(zip(volumes, planned, strict=True)):
        if pair.target is not None and _renamed_by(action) and pair.target_name not in renamed:
            planned[index] = _displacing(way, pair, pair.target, action)
        elif action.pair.target is not None and pair.target_name in renamed and not _renamed_by(action):
            planned[index] = _without_target(way, replace(action.pair, target=None), (), kept)
    return Plan(
        actions=in_order(
            [_bringing(view, _marked_early(way, action)) for action in planned if not isinstance(action, Conflict)],
            _prepared,
            {each.name for each in kept},
        ),
        conflicts=tuple(action for action in planned if isinstance(action, Conflict)),
        orphans=tuple(orphan for orphan in orphans if orphan.name not in renamed | _disowned_by(planned)),
    )


def _marked_early(way: Direction, action: Full | Incremental) -> Full | Incremental:
    """Send the job's own snapshot first where marks come late: without both, the replica would be nobody's."""
    return replace(action, alone=True) if way.marks_late and isinstance(action, Full) else action


def _displacing(way: Direction, pair: VolumePair, old: Dataset, action: Action) -> Action:
    """Set aside the replica that has the name, and that no volume continues, before the volume's own gets it."""
    if isinstance(action, Conflict):
        return action
    if old.readonly is False:
        return Conflict(pair, writable(way, old, pair.volume))
    if old.mounted:
        return Conflict(pair, _mounted(pair))
    return replace(action, preparations=(SetAside(None), *action.preparations))


def _prepared(action: Full | Incremental, steps: tuple[Any, ...]) -> Full | Incremental:
    return replace(action, preparations=steps)


def _bringing(view: View, action: Full | Incremental) -> Full | Incremental:
    back = view.back.get(action.pair.target_name, ())
    return replace(action, preparations=(*action.preparations, *back)) if back else action


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


def _disowned_by(actions: Iterable[Action]) -> set[str]:
    going = [action for action in actions if not isinstance(action, Conflict)]
    return {step.name for action in going for step in action.preparations if isinstance(step, Disown)}


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
    if target is None or is_placeholder(way, target):
        action = _without_target(way, pair, free, diverged)
        return action if target is None or _renamed_by(action) else _displacing(way, pair, target, action)
    if (error := _foreign(way, pair, target)) is not None:
        return Conflict(pair, error)
    base = choose_base(pair.source, target) if target.is_volume == pair.source.is_volume else None
    if target.job is not None and target.readonly is False:
        return Conflict(pair, writable(way, target, pair.volume))
    if base is not None:
        return _onto_base(way, pair, target, base)
    origin = None if target.snapshots else _unpromoted(pair.source, target, (*diverged, *free))
    if origin is not None:
        kept, base = origin
        return Incremental(pair, base, (Promote(), *(() if kept in diverged else (Disown(kept.name),))))
    return Conflict(pair, _mounted(pair)) if target.mounted else Full(pair, (SetAside(None),))


def may_move(pair: VolumePair, replica: Dataset) -> bool:
    """Return whether ZFS can rename a replica to a volume's place, without a change of what its key protects.

    It must stay in its pool. One whose key is not its own must stay below the dataset whose key it has.
    """
    if replica.name.rpartition("/")[0] == pair.target_name.rpartition("/")[0]:
        return True
    root = None if pair.place is None else pair.place.encryption_root
    same_pool = pool_of(replica.name) == pool_of(pair.target_name)
    return same_pool and replica.encryption_root in (replica.name, root)


def _without_target(way: Direction, pair: VolumePair, free: Sequence[Dataset], diverged: Sequence[Dataset]) -> Action:
    place = f"{pair.target_path}/"
    for orphan in free:
        if not may_move(pair, orphan) or orphan.token is not None:
            continue
        base = choose_base(pair.source, orphan)
        if orphan.is_volume == pair.source.is_volume and base is not None:
            if _was_renamed_there(way, pair, orphan):
                return Incremental(pair, base, (*_clone_steps(orphan, base), Disown(orphan.name)))
            root = pair.target_name if orphan.encryption_root == orphan.name else orphan.encryption_root
            moved = replace(orphan, name=pair.target_name, encryption_root=root)  # what follows meets the new name
            renamed = _plan_volume(way, replace(pair, target=moved), (), ())
            if isinstance(renamed, Conflict):
                return _plan_volume(way, replace(pair, target=orphan), (), ())
            return replace(renamed, preparations=(Rename(orphan.name), *renamed.preparations))
    for kept in reversed(diverged):
        base = choose_base(pair.source, kept)
        if base is not None and kept.is_volume == pair.source.is_volume and kept.name.startswith(place):
            return Incremental(pair, base, _clone_steps(kept, base))
    return Full(pair)


def _was_renamed_there(way: Direction, pair: VolumePair, replica: Dataset) -> bool:
    """Return whether a replica was renamed on the target, and not its volume on the source.

    The volume had its name in the last proven set, and no volume had the name that the replica has now.
    """
    before = () if is_diverged(replica.name) else way.known.volumes
    name = str(replace(pair.volume, name=replica.name.removeprefix(f"{pair.target_path}/")))
    return str(pair.volume) in before and name not in before and replica.name.startswith(f"{pair.target_path}/")


def _clone_steps(kept: Dataset, base: SnapshotLike) -> tuple[Preparation, ...]:
    base_on_target = kept.by_guid(base.guid)
    if base_on_target is None:
        raise AssertionError("a base is on both sides")
    return (CloneFromDiverged(kept.name, base_on_target, kept), Promote())


def _unpromoted(source: Dataset, target: Dataset, kept_ones: Sequence[Dataset]) -> tuple[Dataset, SnapshotLike] | None:
    """Return the replica of which the target is a clone that was not promoted yet, and the base in it."""
    for kept in kept_ones:
        base = choose_base(source, kept)
        base_on_target = None if base is None else kept.by_guid(base.guid)
        if base is not None and base_on_target is not None and target.origin == f"{kept.name}@{base_on_target.name}":
            return kept, base
    return None


def _onto_base(way: Direction, pair: VolumePair, target: Dataset, base: SnapshotLike) -> Action:
    """Plan an incremental: receive accepts only the target's newest snapshot as base, so newer ones decide."""
    base_on_target = target.by_guid(base.guid)
    if base_on_target is None:
        raise AssertionError("a base is on both sides")
    newer = [snapshot for snapshot in target.snapshots if snapshot.createtxg > base_on_target.createtxg]
    # Receive itself refuses a replica with writes after its newest snapshot, and accepts snapshots without writes,
    # unless the stream is raw.
    others = all(snapshot.job != way.job and snapshot.written == 0 for snapshot in newer)
    if others and not (newer and target.has_own_key):
        unmarked = _made_there(way, newer)
        return Incremental(pair, base, (TagForeignSnapshots(unmarked),) if unmarked else ())
    permit = decide_rollback(way, target, base_on_target)
    if permit is None:
        return set_aside(pair, base, reason(way, target, newer))
    return Incremental(pair, base, (Rollback(permit),))


def made_there(way: Direction, pair: VolumePair) -> tuple[str, ...]:
    """Return the snapshots after the base that were created on the replica itself and are not marked, by name.

    When something newer has arrived they look like those that travelled.
    """
    base = None if pair.target is None else choose_base(pair.source, pair.target)
    if pair.target is None or base is None or (common := pair.target.by_guid(base.guid)) is None:
        return ()
    return _made_there(way, (each for each in pair.target.snapshots if each.createtxg > common.createtxg))


def _made_there(way: Direction, newer: Iterable[Snapshot]) -> tuple[str, ...]:
    others = (each for each in newer if each.job != way.job and each.guid not in way.known.sent)
    return tuple(each.name for each in others if not each.made_here)


def set_aside(pair: VolumePair, base: SnapshotLike, holds: Holds = Holds.DIVERGED) -> Action:
    """Set the replica aside, and continue from the base without a full copy."""
    if pair.target is None or (base_on_target := pair.target.by_guid(base.guid)) is None:
        raise AssertionError("a base is on both sides")
    if pair.target.mounted:
        return Conflict(pair, _mounted(pair))
    return Incremental(pair, base, (SetAside(base_on_target, holds), Promote()))


def _mounted(pair: VolumePair) -> TargetActiveError:
    return TargetActiveError(
        f"Dataset '{pair.target_name}' on the target is mounted, and must be set aside because it differs from "
        "the source.",
        volume=str(pair.volume),
        advice="Unmount it there (zfs unmount); the next run then continues.",
    )
