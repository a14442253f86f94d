"""Removal of a job: destroy its replicas on the target, then its snapshots on the source (contract: Destruction).

Only datasets whose own ``zsr:job`` and ``zsr:source`` name the job and its source are destroyed, and only if nothing
was written to them. A removal may die anywhere; done again, it does the rest.
"""

from __future__ import annotations

from collections.abc import Iterable

from replicator.errors import StorageMissingError, TargetActiveError
from replicator.models import Job, Removal, Storage, is_diverged
from replicator.replication.ownership import Direction
from replicator.replication.prepare_target import destroy_or_keep, refuse_in_use
from replicator.replication.progress import Log, Progress, Step
from replicator.replication.verification import destroy_bookmarks
from replicator.zfs.client import ZfsClient
from replicator.zfs.model import Dataset, Inventory

_DEPTH = 8
"""Levels below a storage that are searched for replicas; volumes in the settings may have parts in their names."""


async def remove(
    job: Job,
    storages: Iterable[Storage],
    source: ZfsClient,
    target: ZfsClient | None,
    progress: Progress,
    log: Log,
    now: float,
) -> None:
    """Destroy the job's replicas, unless they are to stay or ``target`` is None, then its snapshots on the source.

    ``now`` (unix seconds) becomes part of the name of a replica that is set aside.

    Raises:
        TargetActiveError: a replica is in use; the others are gone, the source's snapshots and the job stay.
        ZsrError: something could not be destroyed; the job stays and it is tried again.
    """
    everywhere = tuple(storages)
    if job.removal is Removal.FULL and target is not None:
        await progress.begin(Step.REMOVE_REPLICAS)
        way = Direction(job.id, source.node, target.node)
        paths = {storage.path_on(target.node) for storage in everywhere if storage.allowed_on(target.node)}
        in_use = [each for path in sorted(paths) for each in await _remove_replicas(way, path, paths, target, now, log)]
        if in_use:
            raise in_use[0]
    await progress.begin(Step.REMOVE_SNAPSHOTS)
    for storage in everywhere:
        if storage.allowed_on(source.node):
            await _remove_snapshots(job, await _inventory(source, storage.path_on(source.node)), source, log)


async def _inventory(client: ZfsClient, path: str) -> Inventory:
    try:
        return await client.inventory(path, depth=_DEPTH, bookmarks=True)
    except StorageMissingError:
        return Inventory()


async def _remove_replicas(
    way: Direction, path: str, paths: Iterable[str], target: ZfsClient, now: float, log: Log
) -> list[TargetActiveError]:
    """Destroy the job's replicas below a storage's path, but not those in a storage inside it.

    Returns the errors of those that were left.
    """
    inventory = await _inventory(target, path)
    diverged = inventory.diverged_of(way.job)
    inner = tuple(f"{other}/" for other in paths if other.startswith(f"{path}/"))
    in_use: list[TargetActiveError] = []
    for dataset in inventory.replicas_of(way.job):
        if dataset.name.startswith(inner):
            continue
        if dataset.source != way.source:
            whose = f"it is a replica from node {dataset.source or '(none)'}, not from {way.source}"
            log("warning", f"'{dataset.name}' on {target.node} is kept: {whose}")
            continue
        try:
            await _remove_replica(dataset, way, path, diverged, target, now, log)
        except TargetActiveError as error:
            log("error", f"{error}")
            in_use.append(error)
    for kept in diverged:
        log("warning", f"'{kept.name}' on {target.node} is kept: it holds data that no source has (zsr diverged list)")
    return in_use


async def _remove_replica(
    dataset: Dataset, way: Direction, path: str, diverged: Iterable[Dataset], target: ZfsClient, now: float, log: Log
) -> None:
    refuse_in_use(dataset, way)
    if dataset.token is not None:
        was_there = await target.abort_receive(dataset.name)
        if was_there and not dataset.snapshots:
            return
    await destroy_or_keep(dataset, way, path, diverged, target, now, log)


async def _remove_snapshots(job: Job, inventory: Inventory, source: ZfsClient, log: Log) -> None:
    for dataset in inventory.datasets.values():
        if dataset.job is not None or is_diverged(dataset.name):  # a replica, also of another source; or it was one
            continue
        await destroy_bookmarks(job.id, dataset, source)
        stale = [snapshot for snapshot in dataset.snapshots if snapshot.job == job.id]
        if stale:
            await source.destroy_snapshots(dataset.name, stale)
            log("info", f"{len(stale)} snapshots of {dataset.name} on {source.node} destroyed")
