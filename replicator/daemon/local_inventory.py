"""Periodic inventory of the local ZFS: unreplicated bytes per job, replicas held for other nodes, pool usage.

The replicas are the receiving side's own view: their age is known also when the sender is silent.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from replicator.api.coverage import GuestCoverage
from replicator.api.held import HeldReplica, KeptAside, PoolSpace, StorageSpace
from replicator.api.status import Unmeasured
from replicator.cluster.model import Cluster
from replicator.daemon.coverage import guest_coverage, unknown_guests
from replicator.daemon.held_replicas import foreign_snapshots, held_replicas, replicas_in
from replicator.daemon.kept_aside import count_diverged, kept_aside
from replicator.daemon.pool_usage import asked_for, pool_roles, pool_spaces, storage_roles, storage_spaces
from replicator.daemon.restore_point_watch import Sight, sights
from replicator.errors import StorageMissingError, ZsrError
from replicator.guests.release import is_left
from replicator.models import Guest, GuestId, Job, JobId
from replicator.replication.discovery import guest_storages, guest_volumes
from replicator.replication.restore_points import as_left
from replicator.replication.snapshot_sets import unreplicated_bytes
from replicator.zfs.client import ZfsClient
from replicator.zfs.dataset_names import LEVELS, owning_path
from replicator.zfs.fence import claim_of
from replicator.zfs.model import Dataset, Inventory, Snapshot

_log = logging.getLogger("zsr.daemon")


@dataclass(frozen=True, slots=True)
class LocalInventory:
    """The facts of one inventory.

    Attributes:
        unreplicated: bytes written since each job's newest snapshot; None where that is not known.
        unmeasured: why it is not known.
        marks: highest number of each job's snapshots and bookmarks on one volume of its source; None where not known.
        oldest_sets: when a job's oldest set on its source was taken (unix time); a job without any is left out.
        replicas: the replicas that this node holds for others.
        foreign: as ``marks``, of snapshots that no job took.
        diverged: how many volumes are kept aside here, by guest; a guest that is missing is not known.
        asides: all that is kept aside here.
        pools, storages: the usage of those that zsr works with here.
        sights: the restore points of each replica here, by dataset, that a job of the cluster sends here.
        coverage: the jobs of each guest of this node and what they leave out, of the storages that were read.
        unknown: the guests with volumes here that the cluster file does not have; None: not looked yet.
        left: the guests of other nodes that have volumes here which are no replicas: they have left them; and those
            whose replicas here a recovery has claimed.
        problems: why storages could not be read, in sentences; a storage that does not exist is no problem.
    """

    unreplicated: Mapping[JobId, int | None] = field(default_factory=dict)
    unmeasured: Mapping[JobId, Unmeasured] = field(default_factory=dict)
    marks: Mapping[JobId, int | None] = field(default_factory=dict)
    oldest_sets: Mapping[JobId, float] = field(default_factory=dict)
    foreign: Mapping[JobId, int | None] = field(default_factory=dict)
    replicas: tuple[HeldReplica, ...] = ()
    diverged: Mapping[GuestId, int] = field(default_factory=dict)
    asides: tuple[KeptAside, ...] = ()
    pools: tuple[PoolSpace, ...] = ()
    storages: tuple[StorageSpace, ...] = ()
    sights: Mapping[str, Sight] = field(default_factory=dict)
    coverage: Mapping[GuestId, GuestCoverage] = field(default_factory=dict)
    unknown: tuple[GuestId, ...] | None = None
    left: tuple[GuestId, ...] = ()
    problems: tuple[str, ...] = ()


async def take_inventory(cluster: Cluster, jobs: Sequence[Job], node: ZfsClient) -> LocalInventory:
    """List each storage of this node once; a storage that cannot be read leaves its guests unknown."""
    inventories: dict[str, Inventory] = {}
    unread: list[str] = []
    for storage in cluster.storages.values():
        if storage.allowed_on(node.node):
            try:
                path = storage.path_on(node.node)
                inventories[storage.name] = await node.inventory(path, depth=LEVELS, bookmarks=True)
            except StorageMissingError:
                continue
            except ZsrError as error:
                unread.append(str(error))
    # In threads: the work grows with jobs and volumes, and must not hold up the event loop.
    found = await asyncio.to_thread(conclude, cluster, jobs, node.node, inventories, tuple(unread))
    usable = by_path(cluster, node.node, inventories)
    everywhere = usable | await _barred(cluster, node)
    coverage = await asyncio.to_thread(guest_coverage, cluster, node.node, everywhere)
    unknown = await asyncio.to_thread(unknown_guests, cluster, node.node, usable)
    found = replace(found, coverage=coverage, unknown=unknown)
    roles = await asyncio.to_thread(storage_roles, cluster, node.node)
    if not roles:
        return found
    pools = pool_roles(roles, cluster.storages, node.node)
    try:
        space = await node.space(asked_for(roles, cluster.storages, node.node))
    except ZsrError as error:
        return replace(found, problems=(*found.problems, str(error)))
    storages = storage_spaces(roles, cluster.storages, node.node, space)
    return replace(found, pools=pool_spaces(pools, space), storages=storages)


async def _barred(cluster: Cluster, node: ZfsClient) -> dict[str, Inventory]:
    """Return what lies directly below the paths of the storages that this node may not use, by path.

    A disk there is one that no job replicates. What cannot be read there is no problem of this node.
    """
    found: dict[str, Inventory] = {}
    usable = {each.path_on(node.node) for each in cluster.storages.values() if each.allowed_on(node.node)}
    for path in {each.path_on(node.node) for each in cluster.storages.values()} - usable:
        try:
            found[path] = await node.inventory(path, depth=1)
        except ZsrError as error:
            _log.debug("Storage path '%s', which this node may not use, was not read: %s", path, error)
    return found


def by_path(cluster: Cluster, node: str, inventories: Mapping[str, Inventory]) -> dict[str, Inventory]:
    """Return the inventories of storages, given by name, by their path on a node."""
    return {cluster.storages[name].path_on(node): inventory for name, inventory in inventories.items()}


def conclude(
    cluster: Cluster,
    jobs: Iterable[Job],
    node: str,
    inventories: Mapping[str, Inventory],
    unread: tuple[str, ...] = (),
) -> LocalInventory:
    """Return the facts of the inventories of a node's storages (by name); ``unread``: why others are missing. Pure."""
    paths = by_path(cluster, node, inventories)
    trees = {path: trees_of(path, inventory) for path, inventory in paths.items()}
    volumes = {
        job: _volumes(guest, cluster, node, trees)
        for job in jobs
        if (guest := cluster.guests.get(job.id.guest)) is not None
    }
    known = {job: found for job, found in volumes.items() if not isinstance(found, Unmeasured)}
    sizes = {job.id: _unreplicated(job, known[job]) if job in known else found for job, found in volumes.items()}
    unknown: dict[JobId, int | None] = {job.id: None for job in volumes}
    times = {job.id: [time for volume in found for time in _set_times(job, volume)] for job, found in known.items()}
    replicas = replicas_in(owned_by(cluster, node, inventories))
    asides = kept_aside(paths, cluster.jobs, node)
    return LocalInventory(
        unreplicated=unknown | {job: size for job, size in sizes.items() if isinstance(size, int)},
        unmeasured={job: size for job, size in sizes.items() if isinstance(size, Unmeasured)},
        marks=unknown | {job.id: max((_marks(job, v) for v in found), default=0) for job, found in known.items()},
        oldest_sets={job: min(found) for job, found in times.items() if found},
        foreign=unknown | {job.id: max(map(foreign_snapshots, found), default=0) for job, found in known.items()},
        replicas=tuple(held_replicas(replicas)),
        diverged=count_diverged(asides, cluster.jobs.values(), node, all_read=not unread),
        asides=asides,
        sights=sights(cluster, node, replicas),
        left=tuple(_left(cluster, node, trees)),
        problems=unread,
    )


def _left(cluster: Cluster, node: str, trees: Mapping[str, Trees]) -> Iterator[GuestId]:
    """Yield the guests of other nodes whose volumes here are still this node's own, or claimed by a recovery."""
    back = [job for job in cluster.jobs.values() if job.target == node and job.removal is None]
    storages = [each for each in cluster.storages.values() if each.allowed_on(node) and each.path_on(node) in trees]
    names = {each.name for tree in trees.values() for some in tree.by_name.values() for each in some}
    for guest_id in sorted({job.id.guest for job in back}):
        guest = cluster.guests.get(guest_id)
        there = None if guest is None or guest.node == node else as_left(guest, storages, node, names)
        if guest is None or there is None:
            continue
        places = tuple(each.name for each in storages if not there.storages or each.name in there.storages)
        found = _volumes(replace(there, storages=places), cluster, node, trees) if places else ()
        known = () if isinstance(found, Unmeasured) else found
        kept = any(each.owner is not None and is_left(guest, node, each) for each in known)
        if kept or any(claim_of(each.stamped) is not None for each in known):
            yield guest_id


def _owned(path: str, paths: Iterable[str], inventory: Inventory) -> Inventory:
    """Return the datasets that a storage owns, of those listed below its path."""
    return Inventory({name: each for name, each in inventory.datasets.items() if owning_path(name, paths) == path})


@dataclass(frozen=True, slots=True)
class Trees:
    """What lies below a path, by the first part of the names below it; and those parts by the guest that they name."""

    by_name: Mapping[str, Sequence[Dataset]]
    by_guest: Mapping[GuestId, Sequence[str]]


def trees_of(path: str, inventory: Inventory) -> Trees:
    """Group the datasets below a path."""
    by_name: dict[str, list[Dataset]] = {}
    by_guest: dict[GuestId, list[str]] = {}
    for name, dataset in inventory.datasets.items():
        if name.startswith(f"{path}/"):
            by_name.setdefault(name[len(path) + 1 :].partition("/")[0], []).append(dataset)
    for name in by_name:
        number = name.partition("-")[2].partition("-")[0]
        if number.isascii() and number.isdigit():
            by_guest.setdefault(int(number), []).append(name)
    return Trees(by_name, by_guest)


def owned_by(cluster: Cluster, node: str, inventories: Mapping[str, Inventory]) -> dict[str, Inventory]:
    """Return what each storage of a node owns, by the storage's name: none of what a storage below it owns."""
    paths = by_path(cluster, node, inventories)
    return {name: _owned(cluster.storages[name].path_on(node), paths, each) for name, each in inventories.items()}


def _volumes(guest: Guest, cluster: Cluster, node: str, trees: Mapping[str, Trees]) -> list[Dataset] | Unmeasured:
    """Return the guest's volumes on this node, or why they are not known; ``trees`` are those below each path."""
    storages = tuple(cluster.storages.values())
    own: dict[str, Dataset] = {}
    for storage in guest_storages(guest, storages, node):
        path = storage.path_on(node)
        if path not in trees:
            return Unmeasured.STORAGE
        names = [v.name.partition("/")[0] for v in (*guest.volumes, *guest.excluded) if v.storage == storage.name]
        names += () if guest.volumes else trees[path].by_guest.get(guest.id, ())
        own |= {each.name: each for name in names for each in trees[path].by_name.get(name, ())}
    try:
        volumes = guest_volumes(guest, storages, node, Inventory(own))
    except ZsrError:
        return Unmeasured.VOLUMES
    return [own[volume.dataset(storage, node)] for volume, storage in volumes]


def _unreplicated(job: Job, volumes: Iterable[Dataset]) -> int | Unmeasured:
    total = 0
    for dataset in volumes:
        written = unreplicated_bytes(dataset, _newest_of(job, dataset))
        if written is None:
            return Unmeasured.ZFS
        total += written
    return total


def _marks(job: Job, dataset: Dataset) -> int:
    return sum(mark.job == job.id for mark in (*dataset.snapshots, *dataset.bookmarks))


def _set_times(job: Job, dataset: Dataset) -> list[int]:
    known = (*dataset.snapshots, *dataset.bookmarks)
    return [mark.set_time for mark in known if mark.job == job.id and mark.set_time is not None]


def _newest_of(job: Job, dataset: Dataset) -> Snapshot | None:
    own = [snapshot for snapshot in dataset.snapshots if snapshot.job == job.id]
    return own[-1] if own else None
