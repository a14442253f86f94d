"""Opened restore points: a read-only clone on the target, to take yesterday's file from.

A clone lies in the storage's folder of what is set aside, so that nothing takes it for a guest's volume or a replica,
and has a mark of its own. ZFS itself keeps its origin: a restore point that ``keep`` does not want any more goes when
the clone is closed, and no job waits for that.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from replicator.errors import ConfigError, StorageMissingError
from replicator.models import Job, JobId, Storage
from replicator.replication.destruction import decide_clone
from replicator.replication.provenance import opened_mark
from replicator.replication.restore_points import RestorePoint
from replicator.zfs.client import ZfsClient
from replicator.zfs.dataset_names import DIVERGED_DATASET, OPENED_SUFFIX, aside_stem, owning_path
from replicator.zfs.model import Dataset

MOUNTED_BELOW = "/run/zsr/opened"
"""The folder of the target below which opened filesystems are mounted."""


@dataclass(frozen=True, slots=True)
class Opened:
    """An opened volume of a restore point.

    Attributes:
        dataset: the clone.
        origin: the snapshot (``dataset@name``) that it is of; None: it was promoted.
        place: the device of a zvol, the mount point of a filesystem.
        guid: of the clone.
    """

    dataset: str
    origin: str | None
    place: str
    guid: int


async def find_opened(job: JobId, storages: Iterable[Storage], target: ZfsClient) -> list[Opened]:
    """Return what is open of a job's restore points; raises ZsrError if a storage there cannot be read."""
    return [
        Opened(each.name, each.origin, place_of(each.name, MOUNTED_BELOW, is_volume=each.is_volume), each.guid)
        for each in await find_clones(opened_mark(job), OPENED_SUFFIX, storages, target)
    ]


async def find_clones(mark: str, suffix: str, storages: Iterable[Storage], target: ZfsClient) -> list[Dataset]:
    """Return the clones with a mark (``zsr:job``) and an end of their names; raises ZsrError as `find_opened`."""
    found = []
    paths = {each.path_on(target.node) for each in storages if each.allowed_on(target.node)}
    for path in sorted(paths):
        try:
            inventory = await target.inventory(f"{path}/{DIVERGED_DATASET}", depth=1)
        except StorageMissingError:
            continue
        listed = sorted(inventory.datasets.items())
        found += [each for name, each in listed if each.job == mark and name.endswith(suffix)]
    return found


async def open_point(
    job: Job, point: RestorePoint, storages: Iterable[Storage], target: ZfsClient, volume: str | None
) -> list[Opened]:
    """Clone the volumes of a restore point, or the one ``storage:name``, read-only; what is open already stays so.

    Raises:
        ConfigError: the restore point does not have the volume. ZsrError: it could not be cloned.
    """
    everywhere = tuple(storages)
    paths = {each.path_on(target.node): each.name for each in everywhere if each.allowed_on(target.node)}
    chosen: dict[str, tuple[str, str]] = {}
    for dataset in point.datasets:
        path = owning_path(dataset, paths) or ""
        if f"/{DIVERGED_DATASET}/" not in dataset and volume in (None, f"{paths.get(path)}:{dataset[len(path) + 1 :]}"):
            name = f"{aside_stem(path, dataset[len(path) + 1 :])}-{point.time}{OPENED_SUFFIX}"
            chosen[name] = (path, f"{dataset}@{point.name}")
    if not chosen:
        raise ConfigError(f"The restore point has no volume '{volume}'.", advice=f"See: zsr restore-points {job.id}.")
    there = {each.dataset for each in await find_opened(job.id, everywhere, target)}
    for name, (path, snapshot) in chosen.items():
        if name not in there:
            await target.create_parents(path, f"{DIVERGED_DATASET}/-")
            kind = (await target.inventory(snapshot.partition("@")[0], depth=0)).datasets
            await target.clone(snapshot, name, _properties(job.id, name, is_volume=next(iter(kind.values())).is_volume))
    return [each for each in await find_opened(job.id, everywhere, target) if each.dataset in chosen]


async def close_points(job: JobId, storages: Iterable[Storage], target: ZfsClient) -> list[Opened]:
    """Destroy all clones of a job's restore points; return them.

    Raises:
        ZsrError: one is in use, or has snapshots; those before it are closed.
    """
    found = await find_opened(job, storages, target)
    for each in found:
        await target.destroy_replica(decide_clone(each.dataset, each.guid, opened_mark(job), None, closed=True))
    return found


def _properties(job: JobId, name: str, *, is_volume: bool) -> dict[str, str]:
    common = {"readonly": "on", "com.sun:auto-snapshot": "false", "zsr:job": opened_mark(job)}
    return common if is_volume else {**common, "mountpoint": place_of(name, MOUNTED_BELOW, is_volume=False)}


def place_of(name: str, below: str, *, is_volume: bool) -> str:
    """Return the device of a zvol, or the mount point ``below`` a folder of a filesystem."""
    return f"/dev/zvol/{name}" if is_volume else f"{below}/{name.rpartition('/')[2]}"
