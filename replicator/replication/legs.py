"""The streams of a transfer: which snapshots of a volume travel, and with how many sends they arrive. Pure.

A full copy begins with the oldest snapshot that travels. The streams after it bring the others, up to the new set: `-I`
where all between two snapshots travel, `-i` around those that do not. A snapshot stays out where the job's patterns say
so, or where the replica has another snapshot of its name.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from replicator.common.snapshot_patterns import SnapshotPatterns
from replicator.replication.held_sets import left_on_target
from replicator.replication.plan import CloneFromDiverged, Full, Incremental
from replicator.zfs.model import Dataset, Snapshot, SnapshotLike


@dataclass(frozen=True, slots=True)
class Leg:
    """One stream, from a ``base`` (None: in full) to the snapshot ``to``, with all ``between`` them or without."""

    base: SnapshotLike | None
    to: str
    between: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    """The legs of a transfer, the snapshots that they bring, oldest first, and those for which there is no room.

    The replica has another snapshot with the name of each of those that are ``blocked``.
    """

    legs: tuple[Leg, ...]
    travels: tuple[Snapshot, ...]
    blocked: tuple[Snapshot, ...] = ()


def route(action: Full | Incremental, name: str, snapshots: str) -> Route:
    """Return how the set ``name`` of a volume is sent, with what travels along.

    Args:
        action: what the plan says; its preparations are done by then.
        name: the new set's snapshot. A source without it will refuse to send it.
        snapshots: the job's setting.
    """
    base = action.base if isinstance(action, Incremental) else None
    new = action.pair.source.named(name)
    if new is None:
        return Route((Leg(base, name),), ())
    before = [s for s in _after_base(action) if s.createtxg <= new.createtxg and s != new]
    wanted, blocked = _sorted_out(action, before, snapshots)
    travelling = [*wanted, new]
    return Route(tuple(_legs(base, [*before, new], travelling)), tuple(travelling), blocked)


def blocked_by_name(action: Full | Incremental, snapshots: str) -> tuple[Snapshot, ...]:
    """Return the snapshots so far that would travel, if the replica had not others of their names."""
    return _sorted_out(action, _after_base(action), snapshots)[1]


def _after_base(action: Full | Incremental) -> list[Snapshot]:
    after = action.base.createtxg if isinstance(action, Incremental) else -1
    return [each for each in action.pair.source.snapshots if each.createtxg > after]


def _sorted_out(
    action: Full | Incremental, listed: Iterable[Snapshot], snapshots: str
) -> tuple[list[Snapshot], tuple[Snapshot, ...]]:
    """Return those that travel, and those for whose names there is no room."""
    patterns = SnapshotPatterns.parse(snapshots)
    wanted = [each for each in listed if _is_wanted(action, each, patterns)]
    taken = _names_there(action)
    free = [each for each in wanted if taken.get(each.name, each.guid) == each.guid]
    return free, tuple(each for each in wanted if taken.get(each.name, each.guid) != each.guid)


_LONGEST_NAME = 255
"""Characters that the name of a snapshot may have, with its dataset."""


def _is_wanted(action: Full | Incremental, snapshot: Snapshot, patterns: SnapshotPatterns) -> bool:
    """Return whether a snapshot travels with the new set; sets of jobs do so only where they follow a base."""
    if isinstance(action, Full) and (action.alone or snapshot.job is not None):
        return False
    return patterns.fits(snapshot.name)


def _names_there(action: Full | Incremental) -> dict[str, int]:
    """Return the GUIDs of the snapshots that the replica has when the action is prepared, by name."""
    outdated = {each.guid for each in action.outdated} if isinstance(action, Incremental) else set()
    return {each.name: each.guid for each in snapshots_there(action) if each.guid not in outdated}


def outdated_name(dataset: str, snapshot: Snapshot) -> str:
    """Return the name that an outdated snapshot gets: unique, and short enough for ZFS."""
    return f"zsr-outdated_{snapshot.guid:016x}_{snapshot.name}"[: _LONGEST_NAME - len(dataset) - 1]


def snapshots_there(action: Full | Incremental) -> Iterable[Snapshot]:
    """Return the snapshots that the replica has when the action is prepared."""
    left = left_on_target(action).target
    if left is not None or isinstance(action, Full):
        return () if left is None else left.snapshots
    asides = [step.aside for step in action.preparations if isinstance(step, CloneFromDiverged)]
    found = asides[0] if asides else None
    common = None if found is None else found.by_guid(action.base.guid)
    if found is None or common is None:
        return ()
    return [each for each in found.snapshots if each.createtxg <= common.createtxg]


def _legs(base: SnapshotLike | None, listed: Sequence[Snapshot], travelling: Sequence[Snapshot]) -> Iterable[Leg]:
    """Yield the streams that bring the ``travelling`` ones of the ``listed`` snapshots, all of them after the base."""
    at: SnapshotLike | None = base
    position = -1
    waiting: Leg | None = None
    places = {each.guid: index for index, each in enumerate(listed)}
    for each in travelling:
        index = places[each.guid]
        follows = index == position + 1 and isinstance(at, Snapshot)
        if waiting is not None and waiting.between and follows:
            waiting = Leg(waiting.base, each.name, between=True)
        else:
            if waiting is not None:
                yield waiting
            waiting = Leg(at, each.name, between=follows)
        at, position = each, index
    if waiting is not None:
        yield waiting


def never_travels(source: Dataset, target: Dataset, base: SnapshotLike, snapshots: str) -> tuple[Snapshot, ...]:
    """Return the snapshots of others that are older than the base and not on the target: no increment brings them."""
    fits = SnapshotPatterns.parse(snapshots).fits
    return tuple(
        each
        for each in source.snapshots
        if each.createtxg < base.createtxg
        and each.job is None
        and fits(each.name)
        and target.by_guid(each.guid) is None
        and target.named(each.name) is None
    )


def has_new_to_send(source: Dataset, since: SnapshotLike, snapshots: str) -> bool:
    """Return whether a snapshot of others was taken since a set: it travels, though it may hold no new byte.

    Sets of other jobs are none: two jobs of one guest would wake each other forever.
    """
    fits = SnapshotPatterns.parse(snapshots).fits
    return any(s.createtxg > since.createtxg and s.job is None and fits(s.name) for s in source.snapshots)
