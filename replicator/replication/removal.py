"""Removal of a job: destroy its replicas on the target, then its snapshots on the source (contract: Destruction).

Only datasets whose own ``zsr:job`` and ``zsr:source`` name the job and its source are destroyed, and only if nothing
was written to them. A removal may die anywhere; done again, it does the rest.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from replicator.errors import StorageMissingError, TargetActiveError
from replicator.job_choices import Removal
from replicator.models import Job, KnownSets, Storage
from replicator.replication.destruction import (
    decide_all_bookmarks,
    decide_removal,
    decide_removed_jobs_snapshots,
)
from replicator.replication.file_keeper import GuestFiles, remove_files
from replicator.replication.prepare_target import destroy_or_keep
from replicator.replication.progress import Log, Progress, Step
from replicator.replication.provenance import Direction, is_others_by_memory, sets_of
from replicator.replication.stamps import refuse_superseded
from replicator.zfs.client import ZfsClient
from replicator.zfs.dataset_names import LEVELS, is_diverged, owning_path, volume_prefixes
from replicator.zfs.fence import Fence
from replicator.zfs.model import Inventory, pool_of
from replicator.zfs.snapshot_names import job_prefix


async def remove(
    job: Job,
    storages: Iterable[Storage],
    source: ZfsClient,
    target: ZfsClient | None,
    known: KnownSets,
    vanished: Collection[str],
    progress: Progress,
    log: Log,
    *,
    now: float,
    fence: Fence | None = None,
    files: GuestFiles | None = None,
) -> None:
    """Destroy the job's replicas, unless they are to stay or ``target`` is None, then its snapshots on the source.

    ``known`` is the source node's memory of the job's sets, ``vanished`` that of replicas whose volumes are gone.
    ``now`` (unix seconds) becomes part of the name of a replica that is set aside. Replicas must pass the ``fence``.
    ``files``: where those of the guest are kept, which go after the replicas.

    Raises:
        SupersededError: another node has taken the guest over; nothing was changed.
        TargetActiveError: a replica is in use; the others are gone, the source's snapshots and the job stay.
        StorageMissingError: a pool that may hold something of the job is absent; the job stays.
        ZsrError: something could not be destroyed; the job stays and it is tried again.
    """
    everywhere = tuple(storages)
    way = Direction(job.id, source.node, job.target, known, fence=fence)
    if job.removal is Removal.FULL and target is not None:
        await progress.begin(Step.REMOVE_REPLICAS)
        found = await _inventories(everywhere, target, known, vanished)
        await _remove_all_replicas(way, found, target, now, log)
        if files is not None:
            await remove_files(job.id, files, (target, source), log)
    await progress.begin(Step.REMOVE_SNAPSHOTS)
    found_here = await _inventories(everywhere, source, known, marks_of=job_prefix(job.id))
    for path, inventory in found_here.items():
        await _remove_snapshots(way, path, inventory, source, log)


async def _remove_all_replicas(
    way: Direction, found: Mapping[str, Inventory], target: ZfsClient, now: float, log: Log
) -> None:
    """Remove the replicas in all inventories; raises the error of the first that is in use, after all were tried."""
    await _refuse_superseded(way, found.values(), target)
    in_use = [
        each
        for path, inventory in sorted(found.items())
        for each in await _remove_replicas(way, path, inventory, found, target, now, log)
    ]
    if in_use:
        raise in_use[0]


async def _refuse_superseded(way: Direction, found: Iterable[Inventory], target: ZfsClient) -> None:
    if way.fence is not None:
        replicas = [each for inventory in found for each in inventory.replicas_of(way.job)]
        await refuse_superseded(way.fence, target, (each for each in replicas if each.source == way.source))


async def _inventories(
    storages: Iterable[Storage],
    client: ZfsClient,
    known: KnownSets,
    vanished: Collection[str] = (),
    *,
    marks_of: str | None = None,
) -> dict[str, Inventory]:
    """Return the inventory of each storage's path on a node; all are read before anything is destroyed.

    Raises:
        StorageMissingError: a pool that may hold something of the job is absent.
    """
    found = {}
    for storage in storages:
        if storage.allowed_on(client.node):
            path = storage.path_on(client.node)
            needed = _may_hold(storage, known) or any(name.startswith(f"{path}/") for name in vanished)
            found[path] = await _inventory(client, path, needed=needed, marks_of=marks_of)
    return found


def _may_hold(storage: Storage, known: KnownSets) -> bool:
    """Return whether a storage may hold something of the job: as its last proven set says, if that is known."""
    return not known.volumes or any(volume.startswith(f"{storage.name}:") for volume in known.volumes)


def _may_be_volume(way: Direction, path: str, name: str) -> bool:
    """Return whether a dataset may be a volume of the job's guest: by its name, or as the last proven set says.

    So may one below it, which joined after that.
    """
    proven = tuple(f"{path}/{volume.partition(':')[2]}/" for volume in way.known.volumes)
    return not proven or f"{name}/".startswith(proven) or name.startswith(volume_prefixes(way.job.guest, path))


async def _inventory(client: ZfsClient, path: str, *, needed: bool, marks_of: str | None) -> Inventory:
    try:
        return await client.inventory(path, depth=LEVELS, bookmarks=True, marks_of=marks_of)
    except StorageMissingError:
        if needed:
            await _require_pool(client, pool_of(path))
        return Inventory()


async def _require_pool(client: ZfsClient, pool: str) -> None:
    try:
        await client.inventory(pool, depth=0)
    except StorageMissingError as error:
        raise StorageMissingError(
            f"Pool '{pool}' is absent on node {client.node}; the job's snapshots there are not known to be gone.",
            node=client.node,
            advice="Import it (zpool import), or forget what is there: zsr delete --force. If the node never had this "
            "pool, restrict its storage to other nodes (storages.NAME.nodes in the cluster file).",
            raw=error.raw,
        ) from error


async def _remove_replicas(
    way: Direction, path: str, inventory: Inventory, paths: Iterable[str], target: ZfsClient, now: float, log: Log
) -> list[TargetActiveError]:
    """Destroy the job's replicas below a storage's path, but not those in a storage inside it.

    Returns the errors of those that were left.
    """
    diverged = inventory.diverged_of(way.job)
    in_use: list[TargetActiveError] = []
    left: list[str] = []
    for dataset in inventory.replicas_of(way.job):
        if owning_path(dataset.name, paths) != path or dataset.name == path:  # a storage itself is no replica
            continue
        if dataset.source != way.source:
            whose = f"it is a replica from node {dataset.source or '(none)'}, not from {way.source}"
            log("warning", f"'{dataset.name}' on {target.node} is kept: {whose}")
            continue
        if is_others_by_memory(way, dataset):
            log("warning", f"'{dataset.name}' on {target.node} is kept: {way.source} sent nothing of what is in it")
            left.append(dataset.name)
            continue
        if any(name.startswith(f"{dataset.name}/") for name in left):
            log("warning", f"'{dataset.name}' on {target.node} is kept: a replica below it stays")
            continue
        try:
            await destroy_or_keep(decide_removal(way, dataset), dataset, path, diverged, target, now, log)
        except TargetActiveError as error:
            log("error", f"{error}")
            in_use.append(error)
            left.append(dataset.name)
    for kept in diverged:
        log("warning", f"'{kept.name}' on {target.node} is kept: it holds data that no source has (zsr diverged list)")
    for new in inventory.reseeds_of(way.job):
        log("warning", f"'{new.name}' on {target.node} is kept: a new replica in the making (zsr diverged destroy)")
    return in_use


async def _remove_snapshots(way: Direction, path: str, inventory: Inventory, source: ZfsClient, log: Log) -> None:
    """Destroy what this node took for the job below a storage's path, on the guest's volumes only."""
    for dataset in inventory.datasets.values():
        if is_diverged(dataset.name) or not _may_be_volume(way, path, dataset.name):
            continue
        await source.destroy_bookmarks(decide_all_bookmarks(way.job, dataset))
        permit = decide_removed_jobs_snapshots(way, dataset)
        if permit.snapshots:
            await source.destroy_snapshots(permit)
            log("info", f"{len(permit.snapshots)} snapshots of {dataset.name} on {source.node} destroyed")
        others = len(sets_of(way.job, dataset)) - len(permit.snapshots)
        if others:
            log(
                "warning",
                f"{others} snapshots of {dataset.name} have the job's name, but zsr did not take them; they stay",
            )
