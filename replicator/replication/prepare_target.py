"""Prepare a replica for receive: roll back, rename, set aside or promote (contract: Kept aside).

Only zsr's own snapshots are destroyed. Setting aside takes three commands: rename, clone the base under the old name,
promote the clone. If a run dies between them, the next plan continues there (`plan.CloneFromDiverged`, `plan.Promote`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from replicator.replication.destruction import KeepAside, decide_half_received
from replicator.replication.plan import (
    CloneFromDiverged,
    Full,
    Incremental,
    MoveAway,
    Promote,
    Rename,
    Rollback,
    SetAside,
    TagForeignSnapshots,
    VolumePair,
)
from replicator.replication.progress import Log
from replicator.zfs.client import ZfsClient
from replicator.zfs.dataset_names import DIVERGED_DATASET
from replicator.zfs.fence import Fence
from replicator.zfs.model import MADE_HERE, Dataset
from replicator.zfs.permits import ReplicaPermit


def diverged_name(pair: VolumePair, now: float) -> str:
    """Return the name of a diverged replica: directly below the storage's folder for them, with the time."""
    return f"{pair.target_path}/{DIVERGED_DATASET}/{pair.volume.name.replace('/', '_')}-{int(now)}"


async def prepare(
    action: Full | Incremental,
    target: ZfsClient,
    properties: Mapping[str, str],
    now: float,
    log: Log,
    fence: Fence | None = None,
) -> None:
    """Do the preparations of an action; ``properties`` are those of a replica. The replica must pass the ``fence``."""
    pair = action.pair
    if pair.target is not None and pair.target.job is not None:
        await _refuse_changed(action, target, properties, fence)
    for step in action.preparations:
        match step:
            case Rollback(permit):
                log("info", f"{pair.volume}: rolling the replica back to {permit.to.name}")
                await target.rollback(permit)
            case MoveAway(to):
                await target.create_parents(pair.target_path, f"{DIVERGED_DATASET}/-")
                await target.rename(pair.target_name, to)
            case Rename(old):
                log("info", f"{pair.volume}: renaming its replica, which was '{old}'")
                await target.rename(old, pair.target_name)
            case SetAside(base):
                kept = diverged_name(pair, now)
                log("warning", f"{pair.volume}: the replica differs from the source; it is kept aside as '{kept}'")
                await keep_aside(pair, kept, target, properties)
                if base is not None:
                    await _clone(target, f"{kept}@{base.name}", pair.target_name, properties)
            case CloneFromDiverged(diverged, base):
                log(
                    "info", f"{pair.volume}: continuing from the replica that an earlier run kept aside as '{diverged}'"
                )
                await _clone(target, f"{diverged}@{base.name}", pair.target_name, properties)
            case TagForeignSnapshots(names):
                for name in names:
                    log("info", f"{pair.volume}: the snapshot {name} was created on the replica itself; it is kept")
                    await target.set_properties(f"{pair.target_name}@{name}", {"zsr:job": MADE_HERE})
            case Promote():
                await target.promote(pair.target_name)


async def keep_aside(pair: VolumePair, kept: str, target: ZfsClient, properties: Mapping[str, str]) -> None:
    """Rename a volume's replica to ``kept``, in the folder of diverged replicas; ``properties`` are a replica's."""
    await target.create_parents(pair.target_path, f"{DIVERGED_DATASET}/-")
    await target.rename(pair.target_name, kept)
    if pair.target is not None and pair.target.job is None:  # without marks it would never be reported
        await target.set_properties(kept, {key: properties[key] for key in ("zsr:source", "zsr:job")})
    if pair.source.is_volume:  # it is never written again, and its successor reserves the same space
        await target.set_properties(kept, {"refreservation": "none"})


async def _refuse_changed(
    action: Full | Incremental, target: ZfsClient, properties: Mapping[str, str], fence: Fence | None
) -> None:
    """Look again at a replica that is about to be renamed; the plan may be hours old.

    Raises:
        TargetActiveError: it was made writable since. SupersededError: another node has taken the guest over since.
    """
    for step in action.preparations:
        if isinstance(step, Rename | MoveAway | SetAside):
            name = step.old if isinstance(step, Rename) else action.pair.target_name
            await target.refuse_in_use(name, properties["zsr:job"], properties["zsr:source"], fence)
        if isinstance(step, Rename | MoveAway | SetAside | Rollback):
            return  # what follows works on names that are made by this step


async def _clone(target: ZfsClient, snapshot: str, name: str, properties: Mapping[str, str]) -> None:
    """Clone unmounted: an old ZFS mounts a clone at once unless its ``canmount`` is off."""
    if "canmount" not in properties:
        await target.clone(snapshot, name, properties)
        return
    await target.clone(snapshot, name, {**properties, "canmount": "off"})
    await target.set_properties(name, {"canmount": properties["canmount"]})


async def destroy_or_keep(
    decision: ReplicaPermit | KeepAside, replica: Dataset, path: str, diverged: Iterable[Dataset], target: ZfsClient,
    now: float, log: Log,
) -> None:  # fmt: skip
    """Destroy a replica or set it aside, as was decided; its half-received state is dropped.

    Raises:
        TargetActiveError: it became writable or was written to since.
    """
    if replica.token is not None:
        permit = decide_half_received(replica, replica.token, "its replica is given up")
        if await target.abort_receive(permit) and not replica.snapshots:
            return
    if isinstance(decision, KeepAside):
        kept = f"{path}/{DIVERGED_DATASET}/{replica.name[len(path) + 1 :].replace('/', '_')}-{int(now)}"
        foreign = decision.snapshot.name
        log("warning", f"'{replica.name}' has snapshots that zsr did not create ({foreign}); it is kept as '{kept}'")
        await target.create_parents(path, f"{DIVERGED_DATASET}/-")
        await target.rename(replica.name, kept)
        return
    for other in diverged:
        if other.origin is not None and other.origin.startswith(f"{replica.name}@"):
            log("info", f"'{other.name}' is kept, and takes over the snapshots of '{replica.name}'")
            await target.promote(other.name)
    await target.destroy_replica(decision)
    log("info", f"replica {replica.name} on {target.node} destroyed")
