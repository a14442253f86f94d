"""The room that the first copies of a node's guests still need on a target. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from replicator.cluster.model import Cluster
from replicator.doctor.cluster_state import own_jobs
from replicator.doctor.zfs_state import Room
from replicator.errors import ZsrError
from replicator.replication.discovery import guest_storages, guest_volumes
from replicator.zfs.dataset_names import parents
from replicator.zfs.model import Inventory, pool_of


def storages_between(cluster: Cluster, here: str, there: str) -> dict[str, tuple[str, str]]:
    """Return the paths on both nodes of the storages with which jobs of one to the other may work, by name."""
    found = {}
    for job in own_jobs(cluster, here):
        guest = cluster.guests.get(job.id.guest)
        if guest is None or job.target != there:
            continue
        for storage in guest_storages(guest, cluster.storages.values(), here):
            if storage.allowed_on(there):
                found[storage.name] = (storage.path_on(here), storage.path_on(there))
    return found


def rooms(
    cluster: Cluster, here: str, there: str, ours: Inventory, theirs: Inventory, free: Mapping[str, int]
) -> list[Room]:
    """Return the room on each pool of the target that can be read.

    Args:
        cluster: nodes, storages, guests and jobs.
        here: the source.
        there: the target.
        ours: the datasets below the storages of the source.
        theirs: those of the target.
        free: the bytes free below the paths of the target.
    """
    needed: defaultdict[str, int] = defaultdict(int)
    for source, target in sorted(set(_missing(cluster, here, there, ours, theirs))):
        found = ours.get(source)
        needed[pool_of(target)] += (found.used or 0) if found is not None else 0
    pools: dict[str, int] = {}
    for _, path in storages_between(cluster, here, there).values():
        if path in free:
            pools[pool_of(path)] = min(free[path], pools.get(pool_of(path), free[path]))
    return [Room(pool, needed[pool], room) for pool, room in pools.items()]


def _missing(cluster: Cluster, here: str, there: str, ours: Inventory, theirs: Inventory) -> Iterator[tuple[str, str]]:
    """Yield the volumes that the target does not have, and their names there; none that lies below another of them."""
    storages = tuple(cluster.storages.values())
    for job in own_jobs(cluster, here):
        guest = cluster.guests.get(job.id.guest)
        if guest is None or job.target != there:
            continue
        try:
            volumes = guest_volumes(guest, storages, here, ours, target=there)
        except ZsrError:  # reported by what looks at the volumes themselves
            continue
        names = {volume.dataset(storage, here): volume.dataset(storage, there) for volume, storage in volumes}
        for source, target in names.items():
            if theirs.get(target) is None and not names.keys() & set(parents(source)):
                yield source, target
