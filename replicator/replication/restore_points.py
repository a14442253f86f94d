"""Restore points of a job: the sets of its snapshots that the target has, read from the target's ZFS.

They are listed also when the source does not answer, which is when they are needed. The replicas themselves then say
which set is whole (`replica_heads`); only a volume that never had a set is not known.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from replicator.common.tasks import gather_two
from replicator.errors import StorageMissingError, ZsrError
from replicator.models import Guest, Job, JobId, Storage
from replicator.replication.discovery import guest_storages, guest_volumes, look_depth, source_inventory
from replicator.replication.ownership import sets_of, shares_set
from replicator.replication.replica_heads import Heads, replica_heads
from replicator.replication.snapshot_sets import sum_if_known
from replicator.zfs.client import ZfsClient
from replicator.zfs.dataset_names import is_diverged
from replicator.zfs.model import Dataset
from replicator.zfs.snapshot_names import snapshot_name


@dataclass(frozen=True, slots=True)
class RestorePoint:
    """One set of a job's snapshots on the target.

    Attributes:
        job, time: the job, and the unix time in the name of the snapshots.
        datasets: the replicas that have it.
        volumes: how many of the guest's volumes have it.
        of: how many volumes the guest has now; when the source did not answer, how many replicas are current.
        written: bytes since the restore point before, of all replicas; None where this ZFS does not report them.
    """

    job: JobId
    time: int
    datasets: tuple[str, ...]
    volumes: int
    of: int
    written: int | None

    @property
    def name(self) -> str:
        """The name of its snapshots."""
        return snapshot_name(self.job, self.time)

    @property
    def complete(self) -> bool:
        """Whether every volume that the guest has is in it."""
        return self.volumes == self.of


@dataclass(frozen=True, slots=True)
class Replicas:
    """The replicas of a job on the target.

    Attributes:
        datasets: the job's replicas by name.
        wanted: the names that the replicas of the guest's present volumes have; None when the source did not answer.
        source_error: the reason why it did not.
    """

    datasets: Mapping[str, Dataset] = field(default_factory=dict)
    wanted: frozenset[str] | None = None
    source_error: ZsrError | None = None


def restore_points(job: JobId, replicas: Replicas) -> list[RestorePoint]:
    """Return the sets that the replicas have, newest first."""
    sets: dict[int, list[tuple[str, int | None]]] = {}
    for name, dataset in sorted(replicas.datasets.items()):
        for time, written in _written_by_set(job, dataset).items():
            sets.setdefault(time, []).append((name, written))
    wanted = heads(job, replicas).current if replicas.wanted is None else replicas.wanted
    return [
        RestorePoint(
            job=job,
            time=time,
            datasets=tuple(name for name, _ in found),
            volumes=sum(name in wanted for name, _ in found),
            of=len(wanted),
            written=sum_if_known(written for _, written in found),
        )
        for time, found in sorted(sets.items(), reverse=True)
    ]


def heads(job: JobId, replicas: Replicas) -> Heads:
    """Return which set is whole, and which replicas are ahead of it or left behind."""
    sets = {name: list(sets_of(job, dataset)) for name, dataset in replicas.datasets.items()}
    return replica_heads(sets, replicas.wanted)


async def read_replicas(
    job: Job, guest: Guest, storages: Iterable[Storage], source: ZfsClient | None, target: ZfsClient
) -> Replicas:
    """List both sides at the same time; without an answer of the source only `Replicas.wanted` is unknown.

    Raises:
        ZsrError: the target cannot be listed.
    """
    everywhere = tuple(storages)
    theirs, ours = await gather_two(_on_target(guest, everywhere, target), _on_source(guest, everywhere, source))
    if not isinstance(ours, dict):
        marked = {name: dataset for name, dataset in theirs.items() if dataset.job == str(job.id)}
        return Replicas(marked, None, ours)
    by_name = {storage.name: storage for storage in everywhere}
    names = {f"{by_name[name].path_on(target.node)}/{volume}": dataset for (name, volume), dataset in ours.items()}
    replicas = {name: dataset for name, dataset in theirs.items() if _is_replica(job.id, dataset, names.get(name))}
    return Replicas(replicas, frozenset(names))


def _is_replica(job: JobId, target: Dataset, source: Dataset | None) -> bool:
    return shares_set(job, target, source) if target.job is None else target.job == str(job)


async def _on_target(guest: Guest, storages: Iterable[Storage], target: ZfsClient) -> dict[str, Dataset]:
    found: dict[str, Dataset] = {}
    for storage in guest_storages(guest, storages, target.node):
        try:
            inventory = await target.inventory(storage.path_on(target.node), depth=look_depth(guest, storage))
        except StorageMissingError:
            continue
        found |= {name: dataset for name, dataset in inventory.datasets.items() if not is_diverged(name)}
    return found


async def _on_source(
    guest: Guest, storages: Iterable[Storage], source: ZfsClient | None
) -> dict[tuple[str, str], Dataset] | ZsrError | None:
    """Return the guest's volumes by storage and name; or the error if they could not be listed."""
    if source is None:
        return None
    everywhere = tuple(storages)
    try:
        on_source = await source_inventory(guest, everywhere, source)
        return {
            (volume.storage, volume.name): on_source.datasets[volume.dataset(storage, source.node)]
            for volume, storage in guest_volumes(guest, everywhere, source.node, on_source)
        }
    except ZsrError as error:
        return error


def _written_by_set(job: JobId, dataset: Dataset) -> dict[int, int | None]:
    """Return the bytes since the set before, by set; other snapshots in between count to the next set."""
    own = {snapshot.guid: time for time, snapshot in sets_of(job, dataset).items()}
    found: dict[int, int | None] = {}
    since: list[int | None] = []
    for snapshot in sorted(dataset.snapshots, key=lambda snapshot: snapshot.createtxg):
        since.append(snapshot.written)
        if snapshot.guid in own:
            found[own[snapshot.guid]] = sum_if_known(since)
            since = []
    return found
