"""The role and the usage of the pools and storages of a node, from the cluster and one reading of their space. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from replicator.api.held import PoolRole, PoolSpace, StorageSpace
from replicator.cluster.model import Cluster
from replicator.models import Storage
from replicator.replication.discovery import guest_storages
from replicator.zfs.model import pool_of


def storage_roles(cluster: Cluster, node: str) -> dict[str, PoolRole]:
    """Return the storages of a node on which guests with jobs may have volumes (source) or replicas (target), by name.

    Only the cluster decides, so that a storage does not change its role with the first run.
    """
    sources: set[str] = set()
    targets: set[str] = set()
    storages = cluster.storages.values()
    for job in cluster.jobs.values():
        guest = cluster.guests.get(job.id.guest)
        if guest is None:
            continue
        if guest.node == node:
            sources |= {storage.name for storage in guest_storages(guest, storages, node)}
        elif job.target == node:
            usable = (storage for storage in guest_storages(guest, storages, guest.node) if storage.allowed_on(node))
            targets |= {storage.name for storage in usable}
    both = sources & targets
    return {
        name: PoolRole.BOTH if name in both else PoolRole.SOURCE if name in sources else PoolRole.TARGET
        for name in sorted(sources | targets)
    }


def pool_roles(roles: Mapping[str, PoolRole], storages: Mapping[str, Storage], node: str) -> dict[str, PoolRole]:
    """Return the roles of the pools of a node, by name: those of their storages together."""
    found: dict[str, set[PoolRole]] = {}
    for name, role in roles.items():
        found.setdefault(pool_of(storages[name].path_on(node)), set()).add(role)
    return {pool: next(iter(of)) if len(of) == 1 else PoolRole.BOTH for pool, of in sorted(found.items())}


def asked_for(roles: Mapping[str, PoolRole], storages: Mapping[str, Storage], node: str) -> list[str]:
    """Return the datasets whose space is read: the paths of the storages that have a role, and their pools."""
    paths = {storages[name].path_on(node) for name in roles}
    return sorted(paths | {pool_of(path) for path in paths})


def pool_spaces(roles: Mapping[str, PoolRole], space: Mapping[str, tuple[int, int]]) -> tuple[PoolSpace, ...]:
    """Combine role and space (used and free bytes); a pool whose space is not known is left out."""
    return tuple(
        PoolSpace(pool, role, size=sum(space[pool]), free=space[pool][1])
        for pool, role in roles.items()
        if pool in space
    )


def storage_spaces(
    roles: Mapping[str, PoolRole], storages: Mapping[str, Storage], node: str, space: Mapping[str, tuple[int, int]]
) -> tuple[StorageSpace, ...]:
    """Combine role and space (used and free bytes) of storages; one whose path is not there is left out."""
    paths = {name: storages[name].path_on(node) for name in roles}
    return tuple(
        StorageSpace(name, pool_of(path), roles[name], size=sum(space[path]), free=space[path][1])
        for name, path in paths.items()
        if path in space
    )
