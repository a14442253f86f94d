"""The plan of a run: what each volume needs, decided from the facts of both sides alone (DESIGN 4, step 3). Pure.

A base is common only by GUID. A conflict is found here, before anything is changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from replicator.errors import DivergedError, NoCommonBaseError, TargetActiveError, ZsrError
from replicator.jobs import JobId, Volume
from replicator.zfs.facts import Dataset, Inventory, Snapshot


@dataclass(frozen=True, slots=True)
class Sides:
    """One volume as found: facts on the source, path, name and facts on the target."""

    volume: Volume
    target_path: str
    source: Dataset
    target_name: str
    target: Dataset | None


@dataclass(frozen=True, slots=True)
class Full:
    """Send the whole volume; the target does not have it."""

    sides: Sides


@dataclass(frozen=True, slots=True)
class Incremental:
    """Send what came since the base. ``rollback`` is set when zsr's own newer snapshots are in its way there."""

    sides: Sides
    base: Snapshot
    rollback: Snapshot | None = None


@dataclass(frozen=True, slots=True)
class Conflict:
    """Nothing may be done with this volume; the error says why and what to do."""

    sides: Sides
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


def guest_volumes(inventory: Inventory, path: str, storage: str, guest: int) -> list[Volume]:
    """The volumes of a guest found by name below a storage's path, as the peer names them."""
    kinds = ("vm", "subvol", "base", "basevol")
    prefixes = tuple(f"{kind}-{guest}-" for kind in kinds)
    names = (dataset.name[len(path) + 1 :] for dataset in inventory.below(path))
    return sorted(Volume(storage, name) for name in names if name.startswith(prefixes))


def is_replica_of(job: JobId, target: Dataset, source: Dataset | None) -> bool:
    """Whether a dataset on the target is this job's replica.

    Its ``zsr:job`` says so; or, for one whose mark was not yet set when the run died (and for a replica made by the
    peer under the same job id), it holds a snapshot of this very job that the source has too.
    """
    if target.job is not None:
        return target.job == str(job)
    return source is not None and any(
        snapshot.job == job and source.by_guid(snapshot.guid) is not None for snapshot in target.snapshots
    )


def choose_base(source: Dataset, target: Dataset) -> Snapshot | None:
    """The base: the newest snapshot, by the source's order, that both sides have by GUID, whoever made it."""
    common = [snapshot for snapshot in source.snapshots if target.by_guid(snapshot.guid) is not None]
    return max(common, key=lambda snapshot: snapshot.createtxg, default=None)


def plan_volume(job: JobId, sides: Sides) -> Action:
    """What one volume needs."""
    source, target = sides.source, sides.target
    if target is None:
        return Full(sides)
    if target.is_volume != source.is_volume:
        return Conflict(sides, _active(sides, "is of another kind (filesystem or volume) than the source"))
    base = choose_base(source, target)
    if base is None:
        return Conflict(sides, _no_base(sides))
    if not is_replica_of(job, target, source):
        owner = f"belongs to job {target.job}" if target.job else "was not made by zsr"
        return Conflict(sides, _active(sides, owner))
    return _onto_base(sides, target, base)


def _onto_base(sides: Sides, target: Dataset, base: Snapshot) -> Action:
    """Receive goes only onto the target's newest snapshot: what is newer there decides."""
    there = target.by_guid(base.guid)
    newer = [s for s in target.snapshots if there is not None and s.createtxg > there.createtxg]
    foreign = [snapshot for snapshot in newer if snapshot.job is None]
    if foreign:
        return Conflict(sides, _in_the_way(sides, foreign))
    if newer and target.written:
        return Conflict(sides, _written(sides, target.written))
    return Incremental(sides, base, rollback=there if newer else None)


def make_plan(job: JobId, volumes: Sequence[Sides], orphans: Iterable[Dataset] = ()) -> Plan:
    """The plan for all volumes of a guest."""
    planned = [plan_volume(job, sides) for sides in volumes]
    return Plan(
        actions=tuple(action for action in planned if not isinstance(action, Conflict)),
        conflicts=tuple(action for action in planned if isinstance(action, Conflict)),
        orphans=tuple(orphans),
    )


@dataclass(frozen=True, slots=True)
class Proof:
    """What the look itself proves: the newest set that is on the target; None: none is. Absent: it cannot tell."""

    last_sync: int | None


def proven_sync(job: JobId, volumes: Sequence[Sides]) -> Proof | None:
    """The newest time of a set of this job that is whole on both sides, by GUID.

    So last sync is derived again when this node's memory was lost, and taken back when replicas are gone (DESIGN 3).
    A volume that has no snapshot of this job yet is new and was never part of a set. None where no volume has one: then
    the source cannot tell what the target holds.
    """
    times: set[int] | None = None
    for sides in volumes:
        own = {s.guid: s.set_time for s in sides.source.snapshots if s.job == job and s.set_time is not None}
        if not own:
            continue
        target = sides.target
        common = {at for guid, at in own.items() if target is not None and target.by_guid(guid) is not None}
        times = common if times is None else times & common
    return None if times is None else Proof(max(times, default=None))


def stale_on_source(job: JobId, dataset: Dataset, keep: str) -> list[Snapshot]:
    """The snapshots of a job on the source but the one to keep."""
    return [snapshot for snapshot in dataset.snapshots if snapshot.job == job and snapshot.name != keep]


def stale_on_target(job: JobId, target: Dataset, source: Dataset, keep: str) -> list[Snapshot]:
    """Snapshots in zsr's own name format on a replica that nobody needs any more.

    This job's older ones; and other jobs' that travelled along and are gone from the source since.
    """
    return [
        snapshot
        for snapshot in target.snapshots
        if snapshot.job is not None
        and snapshot.name != keep
        and (snapshot.job == job or source.by_guid(snapshot.guid) is None)
    ]


def unreplicated_bytes(source: Dataset, base_guid: int | None) -> int | None:
    """Bytes written on a volume since a snapshot (None: since ever); None where this ZFS cannot tell."""
    base = None if base_guid is None else source.by_guid(base_guid)
    newer = [s.written for s in source.snapshots if base is None or s.createtxg > base.createtxg]
    parts = [*newer, source.written]
    if any(part is None for part in parts):
        return None
    return sum(part for part in parts if part is not None)


def _active(sides: Sides, why: str) -> TargetActiveError:
    return TargetActiveError(
        f"Dataset '{sides.target_name}' on the target {why}.",
        volume=str(sides.volume),
        advice="Rename it there (zfs rename) or remove it by hand; zsr writes only replicas of its own job.",
    )


def _no_base(sides: Sides) -> NoCommonBaseError:
    return NoCommonBaseError(
        f"Volume {sides.volume} is on both nodes ('{sides.target_name}' on the target) without a common snapshot.",
        volume=str(sides.volume),
    )


def _in_the_way(sides: Sides, foreign: Sequence[Snapshot]) -> DivergedError:
    names = ", ".join(snapshot.name for snapshot in foreign[:3])
    return DivergedError(
        f"Replica '{sides.target_name}' has snapshots that zsr did not make after the common base: {names}.",
        volume=str(sides.volume),
        advice="Destroy them there if nobody needs them; the next run then goes on.",
    )


def _written(sides: Sides, size: int) -> DivergedError:
    return DivergedError(
        f"Replica '{sides.target_name}' was written to on the target ({size} bytes since its newest snapshot).",
        volume=str(sides.volume),
    )
