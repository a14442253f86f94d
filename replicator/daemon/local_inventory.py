"""Periodic inventory of the local ZFS: unreplicated bytes per job, replicas held for other nodes, pool usage.

The replicas are the receiving side's own view: their age is known also when the sender is silent.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from replicator.api.status import HeldReplica, PoolSpace
from replicator.cluster.model import Cluster
from replicator.daemon.pool_usage import pool_roles, pool_spaces
from replicator.errors import ConfigError, StorageMissingError, ZsrError
from replicator.models import Guest, Job, JobId
from replicator.replication.discovery import guest_storages, guest_volumes_on, look_depth
from replicator.replication.diverged import diverged_below
from replicator.replication.replica_heads import Heads, replica_heads
from replicator.replication.snapshot_sets import sum_if_known, unreplicated_bytes
from replicator.zfs.client import ZfsClient
from replicator.zfs.dataset_names import is_diverged, is_reseed, owning_path
from replicator.zfs.model import Dataset, Inventory, Snapshot


@dataclass(frozen=True, slots=True)
class LocalInventory:
    """The facts of one inventory.

    Attributes:
        unreplicated: bytes written since each job's newest snapshot; None where this ZFS does not report it.
        marks: snapshots and bookmarks of each job on that volume of its source with the most; None where not known.
        replicas: the replicas that this node holds for others.
        diverged: how many volumes are kept aside here, by guest; a guest that is missing is not known.
        pools: the usage of the pools that zsr works with here.
        problems: why storages could not be read, in sentences; a storage that does not exist is no problem.
    """

    unreplicated: Mapping[JobId, int | None] = field(default_factory=dict)
    marks: Mapping[JobId, int | None] = field(default_factory=dict)
    replicas: tuple[HeldReplica, ...] = ()
    diverged: Mapping[int, int] = field(default_factory=dict)
    pools: tuple[PoolSpace, ...] = ()
    problems: tuple[str, ...] = ()


async def take_inventory(cluster: Cluster, jobs: Sequence[Job], node: ZfsClient) -> LocalInventory:
    """List each storage of this node once; a storage that cannot be read leaves its guests unknown."""
    inventories: dict[str, Inventory] = {}
    unread: list[str] = []
    for storage in cluster.storages.values():
        if storage.allowed_on(node.node):
            try:
                depth = max((look_depth(guest, storage) for guest in cluster.guests.values()), default=2)
                path = storage.path_on(node.node)
                inventories[storage.name] = await node.inventory(path, depth=depth, bookmarks=True)
            except StorageMissingError:
                continue
            except ZsrError as error:
                unread.append(str(error))
    # In threads: the work grows with jobs and volumes, and must not hold up the event loop.
    found = await asyncio.to_thread(conclude, cluster, jobs, node.node, inventories, tuple(unread))
    roles = await asyncio.to_thread(pool_roles, cluster, node.node)
    if not roles:
        return found
    try:
        return replace(found, pools=pool_spaces(roles, await node.space(list(roles))))
    except ZsrError as error:
        return replace(found, problems=(*found.problems, str(error)))


def conclude(
    cluster: Cluster,
    jobs: Iterable[Job],
    node: str,
    inventories: Mapping[str, Inventory],
    unread: tuple[str, ...] = (),
) -> LocalInventory:
    """Return the facts of the inventories of a node's storages (by name); ``unread``: why others are missing. Pure."""
    paths = {cluster.storages[name].path_on(node): inventory for name, inventory in inventories.items()}
    by_guest = {path: volumes_by_guest(path, inventory) for path, inventory in paths.items()}
    sizes: dict[JobId, int | None] = {}
    marks: dict[JobId, int | None] = {}
    for job in jobs:
        guest = cluster.guests.get(job.id.guest)
        if guest is None:
            continue
        volumes = _volumes(guest, cluster, node, paths, by_guest)
        sizes[job.id] = None if volumes is None else _unreplicated(job, volumes)
        marks[job.id] = None if volumes is None else max((_marks(job, volume) for volume in volumes), default=0)
    held = held_replicas(
        {name: _owned(cluster.storages[name].path_on(node), paths, each) for name, each in inventories.items()}
    )
    aside = count_diverged(paths, cluster.jobs.values(), node, all_read=not unread)
    return LocalInventory(sizes, marks, tuple(held), aside, problems=unread)


def _owned(path: str, paths: Iterable[str], inventory: Inventory) -> Inventory:
    """Return the datasets that a storage owns, of those listed below its path."""
    return Inventory({name: each for name, each in inventory.datasets.items() if owning_path(name, paths) == path})


def volumes_by_guest(path: str, inventory: Inventory) -> dict[int, Inventory]:
    """Group the datasets directly below a path by the guest number in their names."""
    found: dict[int, dict[str, Dataset]] = {}
    for dataset in inventory.below(path):
        number = dataset.name[len(path) + 1 :].partition("-")[2].partition("-")[0]
        if number.isascii() and number.isdigit():
            found.setdefault(int(number), {})[dataset.name] = dataset
    return {guest: Inventory(datasets) for guest, datasets in found.items()}


def count_diverged(
    inventories: Mapping[str, Inventory], jobs: Iterable[Job], node: str, *, all_read: bool
) -> dict[int, int]:
    """Return how many volumes are kept aside on a node, by guest.

    Args:
        inventories: the node's storages by path.
        jobs: all jobs of the cluster; a guest with one that targets the node counts from 0 on.
        node: the node's name.
        all_read: whether these are all of the node's storages; else a guest of which nothing was found is missing.
    """
    found = {
        dataset.name: job
        for path, each in inventories.items()
        for dataset, job in diverged_below(path, each)
        if not is_reseed(dataset.name)
    }
    counts = {job.id.guest: 0 for job in jobs if job.target == node and all_read}
    for job_id in found.values():
        counts[job_id.guest] = counts.get(job_id.guest, 0) + 1
    return counts


def held_replicas(inventories: Mapping[str, Inventory]) -> list[HeldReplica]:
    """Return the replicas that this node holds for other nodes, by storage, guest and source.

    The last sync of a guest is that of its oldest replica. A replica without a snapshot of its job holds nothing yet;
    one whose volume left the guest does not count.

    Args:
        inventories: what each storage owns, by the storage's name.
    """
    found = [
        _Held(storage, job, dataset.source, dataset)
        for storage, inventory in inventories.items()
        for dataset in inventory.datasets.values()
        if dataset.source is not None and not is_diverged(dataset.name) and (job := _job(dataset)) is not None
    ]
    jobs: defaultdict[tuple[JobId, str], dict[str, list[int]]] = defaultdict(dict)
    places: defaultdict[tuple[int, str, str], list[_Held]] = defaultdict(list)
    for each in found:
        jobs[each.job, each.source][each.dataset.name] = each.sets
        places[each.job.guest, each.source, each.storage].append(each)
    heads = {job: replica_heads(sets) for job, sets in jobs.items()}
    return [held for _, here in sorted(places.items()) if (held := _held_here(here, heads)) is not None]


@dataclass(frozen=True, slots=True)
class _Held:
    """A replica on this node: its storage, its job, its source node."""

    storage: str
    job: JobId
    source: str
    dataset: Dataset

    @property
    def sets(self) -> list[int]:
        """The times of its job's sets, unix seconds."""
        return [s.set_time for s in self.dataset.snapshots if s.job == self.job and s.set_time is not None]


def _held_here(here: Sequence[_Held], heads: Mapping[tuple[JobId, str], Heads]) -> HeldReplica | None:
    """Return what one storage holds of one guest for one source; None if that is no copy yet."""
    known = [(each.dataset.name, heads[each.job, each.source]) for each in here]
    current = [each for each, (name, of) in zip(here, known, strict=True) if name not in of.left]
    times = [max(each.sets) for each in current if each.sets]
    if not times or len(times) < len(current):
        return None
    used = sum_if_known(each.dataset.used for each in here)
    ahead = any(name in of.ahead for name, of in known)
    return HeldReplica(here[0].job.guest, here[0].source, here[0].storage, min(times), used, ahead)


def _job(dataset: Dataset) -> JobId | None:
    try:
        return JobId.parse(dataset.job or "")
    except ConfigError:
        return None


def _volumes(
    guest: Guest,
    cluster: Cluster,
    node: str,
    paths: Mapping[str, Inventory],
    by_guest: Mapping[str, Mapping[int, Inventory]],
) -> list[Dataset] | None:
    """Return the guest's volumes on this node; None if one of its storages could not be read, or lacks one."""
    found: dict[str, Dataset] = {}
    for storage in guest_storages(guest, cluster.storages.values(), node):
        path = storage.path_on(node)
        if path not in paths:
            return None
        inventory = paths[path] if guest.volumes else by_guest[path].get(guest.id, Inventory())
        try:
            volumes = guest_volumes_on(guest, storage, inventory, path)
        except ZsrError:
            return None
        found |= {name: inventory.datasets[name] for name in (f"{path}/{volume.name}" for volume in volumes)}
    return list(found.values())


def _unreplicated(job: Job, volumes: Iterable[Dataset]) -> int | None:
    total = 0
    for dataset in volumes:
        written = unreplicated_bytes(dataset, _newest_of(job, dataset))
        if written is None:
            return None
        total += written
    return total


def _marks(job: Job, dataset: Dataset) -> int:
    return sum(mark.job == job.id for mark in (*dataset.snapshots, *dataset.bookmarks))


def _newest_of(job: Job, dataset: Dataset) -> Snapshot | None:
    own = [snapshot for snapshot in dataset.snapshots if snapshot.job == job.id]
    return own[-1] if own else None
