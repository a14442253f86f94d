"""The removal of a job: its replicas and snapshots on the target, its snapshots on the source (DESIGN 4, 6).

Only datasets whose own ``zsr:job`` names the job are destroyed. It may die anywhere; done again, it does the rest.
"""

from __future__ import annotations

from collections.abc import Iterable

from replicator.errors import StorageMissingError
from replicator.jobs import Job, Removal, Storage
from replicator.replication.aside import destroy_or_keep
from replicator.replication.progress import Progress, Step
from replicator.replication.proof import destroy_marks
from replicator.replication.transfer import Log
from replicator.zfs.client import ZfsClient
from replicator.zfs.facts import Inventory, is_aside

_DEPTH = 8
"""How deep below a storage replicas are looked for; volumes listed by hand may have parts in their names."""


async def remove(
    job: Job,
    storages: Iterable[Storage],
    source: ZfsClient,
    target: ZfsClient | None,
    progress: Progress,
    log: Log,
    now: float,
) -> None:
    """Destroy what the job left: on the target unless it is kept or None, then on the source.

    ``now`` (unix seconds) names what is kept aside.

    Raises:
        ZsrError: something could not be destroyed; the job stays and it is tried again.
    """
    everywhere = tuple(storages)
    if job.removal is Removal.FULL and target is not None:
        await progress.begin(Step.REMOVE_REPLICAS)
        for storage in everywhere:
            if storage.allowed_on(target.node):
                await _remove_replicas(job, storage.path_on(target.node), target, now, log)
    await progress.begin(Step.REMOVE_SNAPSHOTS)
    for storage in everywhere:
        if storage.allowed_on(source.node):
            await _remove_snapshots(job, await _inventory(source, storage.path_on(source.node)), source, log)


async def _inventory(client: ZfsClient, path: str) -> Inventory:
    try:
        return await client.inventory(path, depth=_DEPTH, bookmarks=True)
    except StorageMissingError:
        return Inventory()


async def _remove_replicas(job: Job, path: str, target: ZfsClient, now: float, log: Log) -> None:
    inventory = await _inventory(target, path)
    aside = inventory.aside_of(job.id)
    for dataset in inventory.replicas_of(job.id):
        if dataset.token is not None:
            await target.abort_receive(dataset.name)
            if not dataset.snapshots:
                continue
        await destroy_or_keep(dataset, job.id, path, aside, target, now, log)
    for kept in aside:
        log("warning", f"'{kept.name}' on {target.node} is kept: it holds what no source has (zsr diverged list)")


async def _remove_snapshots(job: Job, inventory: Inventory, source: ZfsClient, log: Log) -> None:
    for dataset in inventory.datasets.values():
        if dataset.job == str(job.id) or is_aside(dataset.name):
            continue
        await destroy_marks(job.id, dataset, source)
        stale = [snapshot for snapshot in dataset.snapshots if snapshot.job == job.id]
        if stale:
            await source.destroy_snapshots(dataset.name, stale)
            log("info", f"{len(stale)} snapshots of {dataset.name} on {source.node} destroyed")
