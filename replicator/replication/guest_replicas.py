"""What each node holds of a guest, and what would be lost if the guest were started from it now.

The nodes themselves are asked, so the answer needs neither the owner nor a daemon.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from replicator.cluster.model import Cluster
from replicator.common.tasks import result_or_error
from replicator.errors import ZsrError
from replicator.models import Guest, Job, JobId, Volume
from replicator.replication.provenance import sets_of
from replicator.replication.restore_points import datasets_on, heads, replicas_of, volumes_by_name
from replicator.replication.snapshot_sets import sum_if_known, unreplicated_bytes
from replicator.zfs.dataset_names import owning_path
from replicator.zfs.model import Dataset, Inventory
from replicator.zfs.node_clients import Nodes
from replicator.zfs.snapshot_names import snapshot_name

Volumes = Mapping[tuple[str, str], Dataset]
"""A guest's volumes on its node, by storage and name."""
Answers = Mapping[str, Mapping[str, Dataset] | ZsrError]
"""What lies on the storages of each node, by name, or why the node did not say."""


@dataclass(frozen=True, slots=True)
class GuestReplica:
    """What the target of a job holds of its guest.

    Attributes:
        as_of: the unix time of the newest set that is there of every volume; None if there is none.
        newest: each volume (``storage:name``) and the newest set of it, None where there is none.
        lost: the bytes that were written on the owner since ``as_of``; None if they are not known.
        error: why the node did not answer; nothing else is known then.
    """

    job: JobId
    node: str
    as_of: int | None = None
    newest: Mapping[str, int | None] = field(default_factory=dict)
    lost: int | None = None
    error: ZsrError | None = None


async def ask_nodes(cluster: Cluster, names: Iterable[str], nodes: Nodes, guest: Guest | None = None) -> Answers:
    """Return what lies on the storages of these nodes; all are asked at the same time.

    ``guest``: only what may be this one's has its snapshots (`datasets_on`).
    """

    async def asked(name: str) -> dict[str, Dataset]:
        storages = [each for each in cluster.storages.values() if each.allowed_on(name)]
        return await datasets_on(storages, nodes.client(name), guest)

    async with asyncio.TaskGroup() as group:
        tasks = {name: group.create_task(result_or_error(asked(name))) for name in sorted(set(names))}
    return {name: task.result() for name, task in tasks.items()}


def nodes_of(cluster: Cluster, guest: Guest) -> set[str]:
    """Return the nodes that may hold a guest: its owner, and the targets of its jobs."""
    return {guest.node, *(job.target for job in cluster.jobs.values() if job.id.guest == guest.id)}


def guest_replicas(cluster: Cluster, guest: Guest, answers: Answers) -> list[GuestReplica]:
    """Return what the targets of a guest's jobs hold of it, the most recent first."""
    ours = _volumes(cluster, guest, answers[guest.node])
    jobs = [job for job_id, job in sorted(cluster.jobs.items()) if job_id.guest == guest.id]
    found = [_on_target(cluster, job, answers[job.target], ours) for job in jobs]
    return sorted(found, key=lambda each: -(each.as_of or 0))


def _volumes(cluster: Cluster, guest: Guest, answer: Mapping[str, Dataset] | ZsrError) -> Volumes | ZsrError:
    if isinstance(answer, ZsrError):
        return answer
    try:
        return volumes_by_name(guest, cluster.storages.values(), guest.node, Inventory(dict(answer)))
    except ZsrError as error:
        return error


def _on_target(
    cluster: Cluster, job: Job, answer: Mapping[str, Dataset] | ZsrError, ours: Volumes | ZsrError
) -> GuestReplica:
    if isinstance(answer, ZsrError):
        return GuestReplica(job.id, job.target, error=answer)
    storages = tuple(cluster.storages.values())
    replicas = replicas_of(job, storages, answer, ours)
    found = heads(job.id, replicas)
    paths = {each.path_on(job.target): each.name for each in storages if each.allowed_on(job.target)}
    newest = {
        _volume(paths, name): max(sets_of(job.id, replicas.datasets.get(name)), default=None)
        for name in sorted(found.current)
    }
    return GuestReplica(job.id, job.target, found.whole, newest, _lost(job.id, ours, found.whole))


def _volume(storages: Mapping[str, str], dataset: str) -> str:
    """Return a replica's volume; ``storages`` are their names by path."""
    path = owning_path(dataset, storages) or ""
    return str(Volume(storages.get(path, "?"), dataset[len(path) + 1 :]))


def _lost(job: JobId, ours: Volumes | ZsrError, as_of: int | None) -> int | None:
    if isinstance(ours, ZsrError) or as_of is None:
        return None
    name = snapshot_name(job, as_of)
    bases = [(each, each.named(name)) for each in ours.values()]
    return sum_if_known(None if base is None else unreplicated_bytes(each, base) for each, base in bases)
