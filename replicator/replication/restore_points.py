"""Restore points of a job: the sets of its snapshots that the target has, read from the target's ZFS.

They are listed also when the source does not answer, which is when they are needed. The replicas themselves then say
which set is whole (`replica_heads`); only a volume that never had a set is not known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from replicator.common.tasks import gather_two
from replicator.errors import StorageMissingError, ZsrError
from replicator.models import Guest, Job, JobId, Storage
from replicator.replication.asides import aside_of
from replicator.replication.discovery import guest_storages, guest_volumes, source_inventory
from replicator.replication.guest_rows import guest_rows, is_of_guest
from replicator.replication.provenance import sets_of, shares_set
from replicator.replication.replica_heads import Heads, replica_heads
from replicator.replication.snapshot_sets import sum_if_known
from replicator.zfs.client import ZfsClient
from replicator.zfs.dataset_names import LEVELS, Holds, aside_stem, is_diverged, owning_path
from replicator.zfs.model import Dataset, Inventory
from replicator.zfs.snapshot_names import snapshot_name


@dataclass(frozen=True, slots=True)
class RestorePoint:
    """One set of a job's snapshots on the target.

    Attributes:
        job, time: the job, and the unix time in the name of the snapshots.
        datasets: the replicas that have it, and those that were set aside with it.
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
        asides: what was set aside with restore points, by the name of the replica that has taken its place.
    """

    datasets: Mapping[str, Dataset] = field(default_factory=dict)
    wanted: frozenset[str] | None = None
    source_error: ZsrError | None = None
    asides: Mapping[str, tuple[Dataset, ...]] = field(default_factory=dict)


def restore_points(job: JobId, replicas: Replicas) -> list[RestorePoint]:
    """Return the sets that the replicas have, newest first."""
    sets: dict[int, list[tuple[str, str, int | None]]] = {}
    for name, dataset in sorted(replicas.datasets.items()):
        for holder in (dataset, *replicas.asides.get(name, ())):
            for time, written in _written_by_set(job, holder).items():
                sets.setdefault(time, []).append((name, holder.name, written))
    wanted = heads(job, replicas).current if replicas.wanted is None else replicas.wanted
    return [
        RestorePoint(
            job=job,
            time=time,
            datasets=tuple(holder for _, holder, _ in found),
            volumes=len({name for name, _, _ in found} & wanted),
            of=len(wanted),
            written=sum_if_known(written for _, _, written in found),
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
    there = guest_storages(guest, everywhere, target.node)
    listed, ours = await gather_two(datasets_on(there, target, guest), _on_source(guest, everywhere, source))
    return replicas_of(job, everywhere, listed, ours)


def replicas_of(
    job: Job,
    storages: Iterable[Storage],
    listed: Mapping[str, Dataset],
    ours: Mapping[tuple[str, str], Dataset] | ZsrError | None,
) -> Replicas:
    """Return the replicas of a job among what is ``listed`` on its target.

    ``ours`` are the guest's volumes on the source, by storage and name, or why they are not known.
    """
    everywhere = tuple(storages)
    theirs = {name: dataset for name, dataset in listed.items() if not is_diverged(name)}
    paths = [each.path_on(job.target) for each in everywhere if each.allowed_on(job.target)]
    if ours is None or isinstance(ours, ZsrError):
        marked = {name: dataset for name, dataset in theirs.items() if dataset.job == str(job.id)}
        return Replicas(marked, None, ours, _asides(job.id, listed, marked, paths))
    by_name = {storage.name: storage for storage in everywhere}
    names = {f"{by_name[name].path_on(job.target)}/{volume}": dataset for (name, volume), dataset in ours.items()}
    replicas = {name: dataset for name, dataset in theirs.items() if _is_replica(job.id, dataset, names.get(name))}
    return Replicas(replicas, frozenset(names), None, _asides(job.id, listed, replicas, paths))


def _asides(
    job: JobId, listed: Mapping[str, Dataset], replicas: Iterable[str], paths: Sequence[str]
) -> dict[str, tuple[Dataset, ...]]:
    """Return the job's asides that hold restore points, by the replica that has taken their place."""
    marked = [each for each in listed.values() if each.job == str(job)]
    points = [aside for each in marked if (aside := aside_of(each)) is not None and aside.holds is Holds.POINTS]
    found = {}
    for replica in replicas:
        path = owning_path(replica, paths) or ""
        stem = aside_stem(path, replica[len(path) + 1 :])
        found[replica] = tuple(aside.dataset for aside in points if aside.named.stem == stem)
    return found


def _is_replica(job: JobId, target: Dataset, source: Dataset | None) -> bool:
    return shares_set(job, target, source) if target.job is None else target.job == str(job)


async def datasets_on(
    storages: Iterable[Storage], node: ZfsClient, guest: Guest | None = None, *, snapshots: bool = True
) -> dict[str, Dataset]:
    """Return what lies on storages of a node, by name; of storages inside each other the inner one lists its own.

    Args:
        storages: those that the node may use.
        node: where they are listed.
        guest: only what may be this one's has its snapshots, however many others lie there; None: all have them.
        snapshots: whether any has them.
    """
    by_path: dict[str, list[Storage]] = {}
    for storage in storages:
        by_path.setdefault(storage.path_on(node.node), []).append(storage)
    found: dict[str, Dataset] = {}
    for path, here in sorted(by_path.items()):
        try:
            if guest is None or not snapshots:
                inventory = await node.inventory(path, depth=LEVELS, snapshots=snapshots)
            else:
                inventory = await guest_rows(node, path, _is_of_any(guest, here, path))
        except StorageMissingError:
            continue
        found |= inventory.datasets
    return found


def _is_of_any(guest: Guest, storages: Iterable[Storage], path: str) -> Callable[[Dataset], bool]:
    asked = [is_of_guest(guest, each, path) for each in storages]
    return lambda dataset: any(is_its(dataset) for is_its in asked)


async def _on_source(
    guest: Guest, storages: Iterable[Storage], source: ZfsClient | None
) -> dict[tuple[str, str], Dataset] | ZsrError | None:
    """Return the guest's volumes by storage and name; or the error if they could not be listed."""
    if source is None:
        return None
    everywhere = tuple(storages)
    try:
        return volumes_by_name(guest, everywhere, source.node, await source_inventory(guest, everywhere, source))
    except ZsrError as error:
        return error


def volumes_by_name(
    guest: Guest, storages: Iterable[Storage], node: str, inventory: Inventory
) -> dict[tuple[str, str], Dataset]:
    """Return a guest's volumes on its node by storage and name; raises ConfigError if a listed one does not exist."""
    return {
        (volume.storage, volume.name): inventory.datasets[volume.dataset(storage, node)]
        for volume, storage in guest_volumes(guest, storages, node, inventory)
    }


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
