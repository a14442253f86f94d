"""What this node's ZFS says of all guests at once, on a slow timer: what is not replicated, and what is held here.

The second is the receiving side's own view: how fresh its replicas are is known also when the sender is silent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from replicator.cluster.store import Cluster
from replicator.errors import ConfigError, StorageMissingError, ZsrError
from replicator.jobs import Guest, Job, JobId
from replicator.plugins import HeldReplica
from replicator.replication.diverged import aside_below
from replicator.replication.look import guest_storages, guest_volumes_on, look_depth
from replicator.replication.sets import unreplicated_bytes
from replicator.zfs.client import ZfsClient
from replicator.zfs.facts import Dataset, Inventory, Snapshot, is_aside


@dataclass(frozen=True, slots=True)
class Survey:
    """What was found.

    Attributes:
        unreplicated: bytes written since each job's newest snapshot; None where this ZFS cannot tell.
        replicas: what this node holds for others.
        diverged: how many volumes are kept aside here, by guest; a guest that is left out is not known.
    """

    unreplicated: Mapping[JobId, int | None] = field(default_factory=dict)
    replicas: tuple[HeldReplica, ...] = ()
    diverged: Mapping[int, int] = field(default_factory=dict)


async def survey(cluster: Cluster, jobs: Iterable[Job], node: ZfsClient) -> Survey:
    """One inventory per storage of this node; a storage that cannot be read leaves its guests unknown."""
    inventories: dict[str, Inventory] = {}
    all_read = True
    for storage in cluster.storages.values():
        if storage.allowed_on(node.node):
            try:
                depth = max((look_depth(guest, storage) for guest in cluster.guests.values()), default=2)
                inventories[storage.name] = await node.inventory(storage.path_on(node.node), depth=depth)
            except ZsrError as error:
                all_read = all_read and isinstance(error, StorageMissingError)
    held = [replica for name, inventory in inventories.items() for replica in held_replicas(name, inventory)]
    sizes = {
        job.id: _of_guest(job, cluster.guests[job.id.guest], cluster, node.node, inventories)
        for job in jobs
        if job.id.guest in cluster.guests
    }
    paths = {cluster.storages[name].path_on(node.node): inventory for name, inventory in inventories.items()}
    return Survey(sizes, tuple(held), count_diverged(paths, cluster.jobs.values(), node.node, all_read=all_read))


def count_diverged(
    inventories: Mapping[str, Inventory], jobs: Iterable[Job], node: str, *, all_read: bool
) -> dict[int, int]:
    """How many volumes are kept aside on a node, by guest.

    Args:
        inventories: the node's storages by path.
        jobs: of the whole cluster; a guest with one that targets the node is there with 0 from the start.
        node: the node's name.
        all_read: whether these are all of the node's storages; else a guest of which nothing was found is left out.
    """
    found = {dataset.name: job for path, each in inventories.items() for dataset, job in aside_below(path, each)}
    counts = {job.id.guest: 0 for job in jobs if job.target == node and all_read}
    for job_id in found.values():
        counts[job_id.guest] = counts.get(job_id.guest, 0) + 1
    return counts


def held_replicas(storage: str, inventory: Inventory) -> list[HeldReplica]:
    """What a storage of this node holds for other nodes, by guest and source.

    A guest's replicas are as old as the oldest of them; one without a snapshot of its job holds nothing yet.
    """
    oldest: dict[tuple[int, str], int | None] = {}
    for dataset in inventory.datasets.values():
        if dataset.job is None or dataset.source is None or is_aside(dataset.name):
            continue
        try:
            job = JobId.parse(dataset.job)
        except ConfigError:
            continue
        times = [s.set_time for s in dataset.snapshots if s.job == job and s.set_time is not None]
        newest = max(times, default=None)
        key = (job.guest, dataset.source)
        known = oldest.get(key, newest)
        oldest[key] = None if newest is None or known is None else min(known, newest)
    return [HeldReplica(guest, source, storage, at) for (guest, source), at in sorted(oldest.items()) if at is not None]


def _of_guest(job: Job, guest: Guest, cluster: Cluster, node: str, inventories: Mapping[str, Inventory]) -> int | None:
    total = 0
    for storage in guest_storages(guest, cluster.storages.values(), node):
        inventory, path = inventories.get(storage.name), storage.path_on(node)
        if inventory is None:
            return None
        try:
            volumes = guest_volumes_on(guest, storage, inventory, path)
        except ZsrError:
            return None
        for volume in volumes:
            dataset = inventory.datasets[f"{path}/{volume.name}"]
            written = unreplicated_bytes(dataset, _newest_of(job, dataset))
            if written is None:
                return None
            total += written
    return total


def _newest_of(job: Job, dataset: Dataset) -> Snapshot | None:
    own = [snapshot for snapshot in dataset.snapshots if snapshot.job == job.id]
    return own[-1] if own else None
