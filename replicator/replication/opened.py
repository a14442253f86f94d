"""What a person opened on a node to take files from: read-only clones of restore points, or of what is kept aside.

A clone lies in the storage's folder of what is set aside, so that nothing takes it for a guest's volume or a replica,
and has a mark of its own. ZFS itself keeps its origin: a restore point that ``keep`` does not want any more goes when
the clone is closed, and no job waits for that.
"""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from replicator.errors import ConfigError, NetworkError, StorageMissingError, ZfsError, ZsrError
from replicator.models import Job, JobId, Storage
from replicator.replication.destruction import decide_clone
from replicator.replication.keys import refuse_locked_dataset
from replicator.replication.provenance import opened_mark
from replicator.replication.restore_points import RestorePoint
from replicator.zfs import commands
from replicator.zfs.client import ZfsClient
from replicator.zfs.dataset_names import DIVERGED_DATASET, OPENED_SUFFIX, aside_stem, device_of, owning_path
from replicator.zfs.execution import COMMAND_TIMEOUT_SECONDS, execute
from replicator.zfs.model import Dataset

MOUNTED_BELOW = "/run/zsr/opened"
"""The folder of the target below which opened filesystems are mounted."""

CLOSE_TRIES = 4
"""How often a clone is tried to be closed: a device is looked at by others, for a moment, when it changes."""
CLOSE_SECONDS = 0.5
"""Seconds between two tries."""

_WAIT_FOR_DEVICE = 'n=0; until [ -b "$1" ]; do n=$((n+1)); [ $n -le 50 ] || exit 1; sleep 0.1; done'


@dataclass(frozen=True, slots=True)
class Opened:
    """An opened volume.

    Attributes:
        dataset: the clone.
        origin: the snapshot (``dataset@name``) that it is of; None: it was promoted.
        place: the device of a zvol, the mount point of a filesystem.
        guid: of the clone.
        since: when it was opened (unix seconds).
        by: the node on which that was typed; None where it was not noted.
    """

    dataset: str
    origin: str | None
    place: str
    guid: int
    since: int = 0
    by: str | None = None

    @property
    def typed(self) -> str:
        """Its place as a shell takes it: a volume's name may have spaces."""
        return shlex.quote(self.place)


def opened_as(clone: Dataset) -> Opened:
    """Return what a clone that was listed opens."""
    place = place_of(clone.name, MOUNTED_BELOW, is_volume=clone.is_volume)
    return Opened(clone.name, clone.origin, place, clone.guid, clone.creation, clone.source)


async def find_opened(job: JobId, storages: Iterable[Storage], target: ZfsClient) -> list[Opened]:
    """Return what is open of a job's restore points; raises ZsrError if a storage there cannot be read."""
    return [opened_as(each) for each in await find_clones(opened_mark(job), OPENED_SUFFIX, storages, target)]


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
            chosen[name] = (path, dataset)
    if not chosen:
        raise ConfigError(f"The restore point has no volume '{volume}'.", advice=f"See: zsr restore-points {job.id}.")
    marks = {"zsr:job": opened_mark(job.id)}
    there = {each.name: each for each in await find_clones(opened_mark(job.id), OPENED_SUFFIX, everywhere, target)}
    for name, (path, dataset) in chosen.items():
        if name not in there:
            await target.create_parents(path, f"{DIVERGED_DATASET}/-")
            replica = (await target.inventory(dataset, depth=0)).datasets[dataset]
            await open_clone(replica, point.name, name, marks, target)
        else:
            await make_usable(there[name], target)
    return [each for each in await find_opened(job.id, everywhere, target) if each.dataset in chosen]


async def open_clone(of: Dataset, snapshot: str, name: str, marks: Mapping[str, str], target: ZfsClient) -> None:
    """Clone a snapshot of a dataset read-only, so that it can be read when this returns.

    Raises:
        EncryptionError: its key is not loaded; nothing was done. ZsrError: it could not be cloned, mounted or seen.
    """
    refuse_locked_dataset(of, target.node)
    own = {"readonly": "on", "com.sun:auto-snapshot": "false", **marks}
    if not of.is_volume:  # it is a guest's: no program and no device of it may be of use on this node
        place = place_of(name, MOUNTED_BELOW, is_volume=False)
        own |= {"mountpoint": place, "exec": "off", "setuid": "off", "devices": "off"}
    await target.clone(f"{of.name}@{snapshot}", name, own)
    await make_usable((await target.inventory(name, depth=0)).datasets[name], target)


async def make_usable(clone: Dataset, target: ZfsClient) -> None:
    """Mount the filesystem of a clone, or wait until udev has made its device; raises ZsrError if that fails."""
    refuse_locked_dataset(clone, target.node)
    if not clone.is_volume:
        if clone.mounted is False:
            await execute(target, commands.mount(clone.name), f"mount '{clone.name}'")
        return
    device = place_of(clone.name, MOUNTED_BELOW, is_volume=True)
    done = await target.host.run(["sh", "-c", _WAIT_FOR_DEVICE, "sh", device], limit=COMMAND_TIMEOUT_SECONDS)
    if not done.ok:
        raise ZfsError(
            f"'{clone.name}' was cloned on node {target.node}, and has no device {device}.",
            node=target.node,
            advice="Its volmode may forbid one (zfs get volmode); or udev does not run there.",
        )


async def close_points(job: JobId, storages: Iterable[Storage], target: ZfsClient) -> list[Opened]:
    """Destroy all clones of a job's restore points; return them.

    Raises:
        ZsrError: one is in use, or has snapshots; those before it are closed.
    """
    found = await find_opened(job, storages, target)
    for each in found:
        await close_clone(each, opened_mark(job), target)
    return found


async def close_clone(opened: Opened, mark: str, target: ZfsClient) -> None:
    """Destroy a clone that a person opened; raises ZsrError if it is in use, or has snapshots."""
    permit = decide_clone(opened.dataset, opened.guid, mark, None, closed=True)
    for _ in range(CLOSE_TRIES - 1):
        try:
            await target.destroy_replica(permit)
        except NetworkError:
            raise
        except ZsrError:
            await asyncio.sleep(CLOSE_SECONDS)
        else:
            return
    await target.destroy_replica(permit)


def place_of(name: str, below: str, *, is_volume: bool) -> str:
    """Return the device of a zvol, or the mount point ``below`` a folder of a filesystem."""
    return device_of(name) if is_volume else f"{below}/{name.rpartition('/')[2]}"
