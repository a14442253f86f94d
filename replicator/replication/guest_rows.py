"""The rows of one guest: a storage's datasets, and the snapshots of those that are the guest's, however many others lie
there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from replicator.errors import StorageMissingError
from replicator.models import Guest, Storage, Vanished, Volume
from replicator.replication.reseeding import reseed_name
from replicator.zfs.client import ZfsClient
from replicator.zfs.commands import in_parts
from replicator.zfs.dataset_names import DIVERGED_DATASET, LEVELS, volume_prefixes
from replicator.zfs.model import Dataset, Inventory


def is_of_guest(guest: Guest, storage: Storage, path: str) -> Callable[[Dataset], bool]:
    """Return the question whether a dataset below a storage's path may be a guest's: by its mark, or by its name."""
    listed = [f"{path}/{volume.name}" for volume in guest.volumes if volume.storage == storage.name]
    folder = f"{path}/{DIVERGED_DATASET}"
    prefixes = (*volume_prefixes(guest.id, path), *volume_prefixes(guest.id, folder), *(f"{name}/" for name in listed))
    names = {*listed, folder}
    mark = f"{guest.id}-"

    def asked(dataset: Dataset) -> bool:
        return (dataset.job or "").startswith(mark) or dataset.name in names or dataset.name.startswith(prefixes)

    return asked


def remembered_names(
    storage: Storage, path: str, guest: Guest, volumes: Iterable[str], vanished: Iterable[Vanished]
) -> list[str]:
    """Return the names below a storage's path where a run expects datasets of its guest; not all need exist.

    Args:
        storage: the storage.
        path: its path on the target.
        guest: lists volumes, or has them found by name.
        volumes: those of the last proven set, ``storage:name``.
        vanished: the records of replicas whose volumes are gone.
    """
    known = [Volume(*each.split(":", 1)) for each in volumes if ":" in each]
    here = [each for each in dict.fromkeys((*guest.volumes, *known)) if each.storage == storage.name]
    parts = [each.name.split("/") for each in here]
    names = [f"{path}/{'/'.join(some[:end])}" for some in parts for end in range(1, len(some) + 1)]
    reseeds = [reseed_name(path, each) for each in here]
    gone = [each.dataset for each in vanished if each.dataset.startswith(f"{path}/")]
    return list(dict.fromkeys((*names, *gone, f"{path}/{DIVERGED_DATASET}", *reseeds)))


async def guest_rows(
    client: ZfsClient,
    path: str,
    wanted: Callable[[Dataset], bool],
    *,
    names: Sequence[str] | None = None,
) -> Inventory:
    """Return the datasets below a path; those that are ``wanted`` have their snapshots.

    The others have none for sure, except on a ZFS that cannot list some names in one command.

    Args:
        client: the node.
        path: a storage's path there.
        wanted: whether a dataset may be the guest's.
        names: where datasets of the guest are expected. With these one command lists them, and what lies directly
            below the path; without, all datasets are listed first. What is found to be wanted is listed after that.

    Raises:
        StorageMissingError: the path does not exist.
        ZsrError: the node could not be asked.
    """
    if not (await client.features()).list_parsable:  # lists no further names
        return await client.inventory(path, depth=LEVELS)
    first = [] if names is None else next(iter(in_parts(names)), [])
    levels, with_snapshots = (LEVELS, False) if names is None else (1, True)
    begin = await client.inventory(path, depth=levels, snapshots=with_snapshots, also=first)
    found, whole = dict(begin.datasets), {path, *first}
    while rest := [name for name, each in sorted(found.items()) if name not in whole and wanted(each)]:
        missing = in_parts(rest)[0]
        whole |= set(missing)
        try:
            more = await client.inventory(missing[0], depth=1, also=missing[1:])
        except StorageMissingError:  # destroyed meanwhile
            found.pop(missing[0])
            whole.discard(missing[0])
            continue
        found = _joined(found, more.datasets, missing)
    return Inventory(found)


def _joined(found: Mapping[str, Dataset], more: Mapping[str, Dataset], asked: Sequence[str]) -> dict[str, Dataset]:
    """Return what was found so far with what a listing of some names adds: these names as they are now, if they are."""
    below = {name: each for name, each in more.items() if name not in found}
    kept = {name: each for name, each in found.items() if name not in asked}
    return kept | below | {name: more[name] for name in asked if name in more}
