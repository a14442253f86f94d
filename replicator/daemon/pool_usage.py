"""The role and the usage of the pools of a node, from the cluster and one reading of their space. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from replicator.api.status import PoolRole, PoolSpace
from replicator.cluster.model import Cluster
from replicator.replication.discovery import guest_storages
from replicator.zfs.model import pool_of


def pool_roles(cluster: Cluster, node: str) -> dict[str, PoolRole]:
    """Return the pools of a node on which guests with jobs may have volumes (source) or replicas (target), by name.

    Only the cluster decides, so that a pool does not change its role with the first run.
    """
    sources: set[str] = set()
    targets: set[str] = set()
    storages = cluster.storages.values()
    for job in cluster.jobs.values():
        guest = cluster.guests.get(job.id.guest)
        if guest is None:
            continue
        if guest.node == node:
            sources |= {pool_of(storage.path_on(node)) for storage in guest_storages(guest, storages, node)}
        elif job.target == node:
            usable = (storage for storage in guest_storages(guest, storages, guest.node) if storage.allowed_on(node))
            targets |= {pool_of(storage.path_on(node)) for storage in usable}
    both = sources & targets
    return {
        pool: PoolRole.BOTH if pool in both else PoolRole.SOURCE if pool in sources else PoolRole.TARGET
        for pool in sorted(sources | targets)
    }


def pool_spaces(roles: Mapping[str, PoolRole], space: Mapping[str, tuple[int, int]]) -> tuple[PoolSpace, ...]:
    """Combine role and space (used and free bytes); a pool whose space is not known is left out."""
    return tuple(
        PoolSpace(pool, role, size=sum(space[pool]), free=space[pool][1])
        for pool, role in roles.items()
        if pool in space
    )
