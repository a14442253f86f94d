"""Prepare a replica for receive: roll back, rename, set aside or promote (contract: Kept aside).

Only zsr's own snapshots are destroyed. Setting aside takes three commands: rename, clone the base under the old name,
promote the clone. If a run dies between them, the next plan continues there (`plan.CloneFromDiverged`, `plan.Promote`).
Replicas below it move along, and are renamed back as soon as there is one again below which they can lie (`trees`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from replicator.errors import TargetActiveError
from replicator.replication.destruction import KeepAside, decide_half_received
from replicator.replication.plan import (
    CloneFromDiverged,
    Disown,
    Full,
    Incremental,
    Promote,
    Rollback,
    SetAside,
    TagForeignSnapshots,
    VolumePair,
)
from replicator.replication.progress import Log
from replicator.replication.streams import placeholder_properties
from replicator.replication.trees import BringBack, MoveAway, Rename
from replicator.zfs.client import ZfsClient
from replicator.zfs.dataset_names import DIVERGED_DATASET, LEVELS, Holds, aside_name, is_diverged
from replicator.zfs.fence import Fence
from replicator.zfs.model import MADE_HERE, PLACEHOLDER, Dataset
from replicator.zfs.permits import ReplicaPermit

_WHY = {
    Holds.DIVERGED: "the replica differs from the source",
    Holds.POINTS: "the source was rolled back behind sets that are proven on the target",
    Holds.OTHERS: "the replica is raw and has a snapshot that was created there, onto which ZFS receives nothing raw "
    "(exclude it from the tool that takes snapshots there)",
}


async def prepare(
    action: Full | Incremental,
    target: ZfsClient,
    properties: Mapping[str, str],
    now: float,
    log: Log,
    fence: Fence | None = None,
) -> Sequence[str]:
    """Do the preparations of an action; ``properties`` are those of a replica. The replica must pass the ``fence``.

    Returns the asides to which other replicas moved along, and from which they go back (`bring_back`) when a full copy
    has been received; otherwise they are back already.
    """
    pair = action.pair
    asides: list[str] = []
    if pair.target is not None and pair.target.job is not None:
        await _refuse_changed(action, target, properties, fence)
    for step in action.preparations:
        match step:
            case MoveAway(to):
                await target.create_parents(pair.target_path, f"{DIVERGED_DATASET}/-")
                await target.rename(pair.target_name, to)
            case Rename(old):
                log("info", f"{pair.volume}: renaming its replica '{old}' to '{pair.target_name}'")
                await make_room(pair, target, properties["zsr:source"])
                await target.rename(old, pair.target_name)
            case SetAside():
                asides += await _set_aside(step, pair, target, properties, now, log)
            case BringBack(aside):
                asides.append(aside)
            case _:
                await _in_place(step, pair, target, properties, log)
    if isinstance(action, Full):
        return asides
    await bring_back(asides, pair.target_name, target, properties["zsr:job"], log)
    return ()


async def _in_place(
    step: Rollback | CloneFromDiverged | TagForeignSnapshots | Promote | Disown,
    pair: VolumePair,
    target: ZfsClient,
    properties: Mapping[str, str],
    log: Log,
) -> None:
    """Do a preparation that takes its name from no dataset."""
    match step:
        case Rollback(permit):
            log("info", f"{pair.volume}: rolling the replica back to {permit.to.name}")
            await target.rollback(permit)
        case CloneFromDiverged(diverged, base):
            log("info", f"{pair.volume}: continuing from a clone of '{diverged}'")
            await clone_unmounted(target, f"{diverged}@{base.name}", pair.target_name, properties)
        case TagForeignSnapshots(names):
            for name in names:
                log("info", f"{pair.volume}: the snapshot {name} was created on the replica itself; it is kept")
                await target.set_properties(f"{pair.target_name}@{name}", {"zsr:job": MADE_HERE})
        case Promote():
            await target.promote(pair.target_name)
        case Disown(name):
            await _disown(name, pair, target, log)


async def _set_aside(
    step: SetAside, pair: VolumePair, target: ZfsClient, properties: Mapping[str, str], now: float, log: Log
) -> list[str]:
    """Set a replica aside, and begin the clone that takes its place; return the aside if others moved along."""
    kept = aside_name(pair.target_path, pair.volume.name, now, step.holds)
    log("warning", f"{pair.volume}: {_WHY[step.holds]}; the replica is kept aside as '{kept}'")
    others = await keep_aside(pair, kept, target, properties)
    if step.base is not None:
        await clone_unmounted(target, f"{kept}@{step.base.name}", pair.target_name, properties)
    return [kept] if others else []


async def bring_back(asides: Iterable[str], home: str, target: ZfsClient, job: str, log: Log) -> None:
    """Rename the replicas of a job that moved along to asides, to below the replica ``home`` in whose place they were.

    One whose name is taken there stays in the aside.
    """
    for aside in asides:
        carried = await _below(target, aside)
        taken = {each.name for each in await _below(target, home)} if carried else set()
        for each in carried:
            name = f"{home}{each.name[len(aside) :]}"
            if "/" in each.name[len(aside) + 1 :] or each.job not in (job, PLACEHOLDER):
                continue
            if name in taken:
                log("warning", f"'{each.name}' moved along with '{aside}' and stays there: there is another '{name}'")
            else:
                await target.rename(each.name, name)


async def _below(target: ZfsClient, dataset: str) -> list[Dataset]:
    found = (await target.inventory(dataset, depth=LEVELS)).datasets
    return sorted((each for name, each in found.items() if name != dataset), key=lambda each: each.name)


async def _disown(name: str, pair: VolumePair, target: ZfsClient, log: Log) -> None:
    what = f"its replica was renamed on the target to '{name}'"
    log("warning", f"{pair.volume}: {what}: it stays as it is, and a clone of it is the replica now")
    await target.set_properties(name, {"zsr:job": MADE_HERE})


async def make_room(pair: VolumePair, target: ZfsClient, source: str) -> None:
    """Make the datasets above a replica of the node ``source`` that are missing on the target, as placeholders."""
    name = pair.target_name.removeprefix(f"{pair.target_path}/")
    if "/" in name:
        properties = None if is_diverged(pair.target_name) else placeholder_properties(source)
        await target.create_parents(pair.target_path, name, properties)


async def keep_aside(pair: VolumePair, kept: str, target: ZfsClient, properties: Mapping[str, str]) -> bool:
    """Rename a volume's replica to ``kept``, in the folder of diverged replicas; ``properties`` are a replica's.

    Return whether replicas of the same job lie below it, which move along (`bring_back`).

    Raises:
        TargetActiveError: other datasets lie below it, or replicas that are in use.
    """
    below = await refuse_below(target, pair.target_name, properties["zsr:job"])
    await target.create_parents(pair.target_path, f"{DIVERGED_DATASET}/-")
    await target.rename(pair.target_name, kept)
    if pair.target is not None and pair.target.job is None:  # without marks it would never be reported
        await target.set_properties(kept, {key: properties[key] for key in ("zsr:source", "zsr:job")})
    if pair.source.is_volume:  # it is never written again, and its successor reserves the same space
        await target.set_properties(kept, {"refreservation": "none"})
    return below


async def refuse_below(target: ZfsClient, dataset: str, job: str | None = None) -> bool:
    """Refuse to rename a dataset that has others below it: they would move along.

    Replicas of the ``job`` may do so, unless they are in use; return whether there are such.

    Raises:
        TargetActiveError: there are others.
    """
    found = await _below(target, dataset)
    own = {each.name for each in found if job is not None and each.job in (job, PLACEHOLDER)}
    others = [each for each in found if each.name not in own or each.readonly is False or each.mounted]
    if others:
        raise TargetActiveError(
            f"'{others[0].name}' on node {target.node} lies below '{dataset}', which has to be renamed or "
            "kept aside, and would move along.",
            node=target.node,
            advice="Move it elsewhere there (zfs rename), or unmount it if it is a replica. The next run continues.",
        )
    return bool(own)


async def _refuse_changed(
    action: Full | Incremental, target: ZfsClient, properties: Mapping[str, str], fence: Fence | None
) -> None:
    """Look again at a replica that is about to be renamed; the plan may be hours old.

    Raises:
        TargetActiveError: it was made writable since, or has others below it.
        SupersededError: another node has taken the guest over since.
    """
    for step in action.preparations:
        if isinstance(step, Rename | MoveAway | SetAside):
            name = step.old if isinstance(step, Rename) else action.pair.target_name
            marks = PLACEHOLDER if _is_placeholder(action, name) else properties["zsr:job"]
            await target.refuse_in_use(name, marks, properties["zsr:source"], fence)
            if not isinstance(step, SetAside):  # `keep_aside` looks itself
                await refuse_below(target, name, properties["zsr:job"])
        if isinstance(step, Rename | MoveAway | SetAside | Rollback) and step != SetAside(None):
            return  # what follows works on names that are made by this step


def _is_placeholder(action: Full | Incremental, name: str) -> bool:
    found = action.pair.target
    return found is not None and found.name == name and found.job == PLACEHOLDER


async def clone_unmounted(target: ZfsClient, snapshot: str, name: str, properties: Mapping[str, str]) -> None:
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
        TargetActiveError: it became writable or was written to since, or is to be kept aside with others below it.
        SupersededError: another node has taken the guest over since.
    """
    if isinstance(decision, KeepAside):
        await target.refuse_in_use(replica.name, replica.job or "", replica.source or "", decision.fence)
        await refuse_below(target, replica.name)
    if replica.token is not None:
        permit = decide_half_received(replica, replica.token, "its replica is given up")
        if await target.abort_receive(permit) and not replica.snapshots:
            return
    if isinstance(decision, KeepAside):
        kept = aside_name(path, replica.name[len(path) + 1 :], now)
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
