"""The look of a run: which volumes a guest has, and what of them is on either side (DESIGN 4, step 2)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from replicator.concurrency import together
from replicator.errors import ConfigError, StorageMissingError, StorageRestrictedError
from replicator.jobs import Guest, Job, Storage, Volume
from replicator.replication.plan import Sides, guest_volumes
from replicator.zfs.client import ZfsClient
from replicator.zfs.facts import Dataset, Inventory


@dataclass(frozen=True, slots=True)
class Found:
    """The guest's volumes on both sides, and this job's replicas on the target whose volume is gone."""

    volumes: tuple[Sides, ...]
    orphans: tuple[Dataset, ...]


async def look(job: Job, guest: Guest, storages: Iterable[Storage], source: ZfsClient, target: ZfsClient) -> Found:
    """One inventory per storage and side, both sides at once.

    Raises:
        ConfigError: the guest has no volume, or one that is listed by hand does not exist.
        StorageMissingError, StorageRestrictedError: a storage cannot be used on a node.
    """
    volumes: list[Sides] = []
    orphans: list[Dataset] = []
    for storage in guest_storages(guest, storages, source.node):
        here = storage.path_on(source.node)
        if not storage.allowed_on(target.node):
            inventory = await source.inventory(here, depth=look_depth(guest, storage))
            _refuse_restricted(guest, storage, target.node, guest_volumes_on(guest, storage, inventory, here))
            continue
        there = storage.path_on(target.node)
        depth = look_depth(guest, storage)
        ours, theirs = await together(source.inventory(here, depth=depth), _unless_missing(target, there, depth))
        wanted = guest_volumes_on(guest, storage, ours, here)
        if isinstance(theirs, StorageMissingError):
            if wanted:
                raise theirs
            continue
        volumes += [_pair(volume, storage, (source.node, ours), (target.node, theirs)) for volume in wanted]
        names = {volume.dataset(storage, target.node) for volume in wanted}
        orphans += [replica for replica in theirs.replicas_of(job.id) if replica.name not in names]
    if not volumes:
        raise ConfigError(
            f"Guest {guest.id} ({guest.name}) has no volumes on node {source.node}.",
            advice="Check its storages and volumes in the cluster file; nothing was changed on the target.",
        )
    return Found(tuple(volumes), tuple(orphans))


async def _unless_missing(target: ZfsClient, path: str, depth: int) -> Inventory | StorageMissingError:
    """A storage that the target lacks matters only if the guest has volumes on it."""
    try:
        return await target.inventory(path, depth=depth)
    except StorageMissingError as error:
        return error


def guest_volumes_on(guest: Guest, storage: Storage, inventory: Inventory, path: str) -> list[Volume]:
    """The guest's volumes on a storage: those listed by hand, or those found by name."""
    if not guest.volumes:
        return guest_volumes(inventory, path, storage.name, guest.id)
    listed = [volume for volume in guest.volumes if volume.storage == storage.name]
    for volume in listed:
        if inventory.get(f"{path}/{volume.name}") is None:
            raise ConfigError(
                f"Volume {volume} of guest {guest.id} does not exist ('{path}/{volume.name}').",
                advice="Create it, or take it out of the guest's list of volumes.",
            )
    return listed


def guest_storages(guest: Guest, storages: Iterable[Storage], node: str) -> list[Storage]:
    """The storages on which a guest may have volumes, as far as a node may use them."""
    by_name = {storage.name: storage for storage in storages}
    names = guest.storages or tuple(dict.fromkeys(v.storage for v in guest.volumes)) or tuple(by_name)
    return [by_name[name] for name in names if by_name[name].allowed_on(node)]


def look_depth(guest: Guest, storage: Storage) -> int:
    """How deep to look: a volume's snapshots are one level below it, and its name may have parts."""
    return 2 + max((v.name.count("/") for v in guest.volumes if v.storage == storage.name), default=0)


def _pair(volume: Volume, storage: Storage, source: tuple[str, Inventory], target: tuple[str, Inventory]) -> Sides:
    name_there = volume.dataset(storage, target[0])
    dataset = source[1].datasets[volume.dataset(storage, source[0])]
    return Sides(volume, storage.path_on(target[0]), dataset, name_there, target[1].get(name_there))


def _refuse_restricted(guest: Guest, storage: Storage, node: str, volumes: list[Volume]) -> None:
    if volumes:
        raise StorageRestrictedError(
            f"Storage {storage.name} is not allowed on node {node}, and guest {guest.id} has volumes on it: "
            f"{', '.join(map(str, volumes))}.",
            node=node,
        )
