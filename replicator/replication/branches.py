"""What lies below a guest's volumes and travels with them: their children, at any depth. Pure.

The nearest dataset that the settings mention decides: a volume takes along all below it; one that is left out, that
another guest has, or that is a storage's path takes nothing of it. The channel program that takes the snapshots has the
same rule (``snapshot_if_changed.lua``).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from replicator.errors import ConfigError
from replicator.models import Guest, GuestId, JobId, Storage, Volume
from replicator.zfs.channel_programs import Branches
from replicator.zfs.dataset_names import is_diverged
from replicator.zfs.model import Dataset, Inventory


def takes_children(guest: Guest, volume: Volume) -> bool:
    """Return whether what lies below a volume that the settings mention is replicated too."""
    return dict(guest.children_of).get(volume, guest.children and volume not in guest.excluded)


def branches_of(guest: Guest, storages: Iterable[Storage], node: str) -> Branches:
    """Return where a guest's volumes on a node go on below them."""
    by_name = {storage.name: storage for storage in storages if storage.allowed_on(node)}

    def names(volumes: Iterable[Volume]) -> set[str]:
        return {volume.dataset(by_name[volume.storage], node) for volume in volumes if volume.storage in by_name}

    paths = {storage.path_on(node) for storage in by_name.values()}
    mentioned = (*guest.volumes, *sorted(guest.excluded))
    roots = [volume for volume in mentioned if takes_children(guest, volume)]
    left = [volume for volume in mentioned if volume in guest.excluded or not takes_children(guest, volume)]
    return Branches(
        guest.id,
        guest.children and not guest.volumes,
        tuple(sorted(names(roots) - paths)),
        frozenset(paths | names(left) | names(guest.others)),
    )


def children(of: Branches, found: Iterable[str], inventory: Inventory) -> list[str]:
    """Return the children that travel, parents first; ``found`` are the volumes that were found by name."""
    taken = {*of.roots, *(name for name in found if of.by_name and name not in of.closed)}
    return _below(taken, of.closed, of.guest, inventory)


def left_out(of: Branches, volumes: Iterable[str], inventory: Inventory) -> list[str]:
    """Return the children of volumes that do not travel only because the settings say ``children = false``."""
    names = set(volumes)
    return [name for name in _below(names, of.closed - names, of.guest, inventory) if name not in names]


def _below(taken: Collection[str], closed: Collection[str], guest: GuestId, inventory: Inventory) -> list[str]:
    if not taken:
        return []
    open_names = set(taken)
    begin = tuple(f"{name}/" for name in taken)
    found = []
    for name in sorted(each for each in inventory.datasets if each.startswith(begin)):  # a parent comes before its own
        if name.rpartition("/")[0] not in open_names or name in closed:
            continue
        if not is_diverged(name) and not is_others(guest, inventory.datasets[name]):
            open_names.add(name)
            found.append(name)
    return found


def is_others(guest: GuestId, dataset: Dataset) -> bool:
    """Return whether a dataset is a replica of another guest: its own mark says so."""
    try:
        return dataset.job is not None and JobId.parse(dataset.job).guest != guest
    except ConfigError:
        return False
