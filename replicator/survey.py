"""How much of each guest is not on its targets yet, asked of this node's ZFS on a slow timer."""

from __future__ import annotations

from collections.abc import Iterable

from replicator.cluster.store import Cluster
from replicator.errors import ZsrError
from replicator.jobs import Guest, Job, JobId
from replicator.replication.look import guest_volumes_on
from replicator.replication.plan import unreplicated_bytes
from replicator.zfs.client import ZfsClient
from replicator.zfs.facts import Dataset, Inventory


async def unreplicated(cluster: Cluster, jobs: Iterable[Job], source: ZfsClient) -> dict[JobId, int | None]:
    """Bytes written since each job's newest snapshot, by job; None where this ZFS cannot tell.

    One inventory per storage; a storage that cannot be read leaves its guests unknown.
    """
    inventories: dict[str, Inventory] = {}
    for storage in cluster.storages.values():
        if storage.allowed_on(source.node):
            try:
                inventories[storage.name] = await source.inventory(storage.path_on(source.node))
            except ZsrError:
                continue
    return {
        job.id: _of_guest(job, cluster.guests[job.id.guest], cluster, source.node, inventories)
        for job in jobs
        if job.id.guest in cluster.guests
    }


def _of_guest(job: Job, guest: Guest, cluster: Cluster, node: str, inventories: dict[str, Inventory]) -> int | None:
    total = 0
    for name, inventory in inventories.items():
        path = cluster.storages[name].path_on(node)
        try:
            volumes = guest_volumes_on(guest, cluster.storages[name], inventory, path)
        except ZsrError:
            return None
        for volume in volumes:
            dataset = inventory.datasets[f"{path}/{volume.name}"]
            written = unreplicated_bytes(dataset, _newest_of(job, dataset))
            if written is None:
                return None
            total += written
    return total


def _newest_of(job: Job, dataset: Dataset) -> int | None:
    own = [snapshot for snapshot in dataset.snapshots if snapshot.job == job.id]
    return own[-1].guid if own else None
