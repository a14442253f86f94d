"""Discovery: which volumes a guest has, and their datasets on both sides (contract: One run, step 2)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

from replicator.common.tasks import gather_two
from replicator.errors import ConfigError, StorageMissingError, StorageRestrictedError
from replicator.models import Guest, Job, Storage, Vanished, Volume
from replicator.replication.branches import branches_of, children, takes_children
from replicator.replication.guest_rows import guest_rows, is_of_guest, remembered_names
from replicator.replication.plan import VolumePair
from replicator.replication.reseeding import reseed_name
from replicator.zfs.channel_programs import Branches, Place
from replicator.zfs.client import ZfsClient
from replicator.zfs.dataset_names import LEVELS, owning_path, parents, volume_prefixes
from replicator.zfs.model import Dataset, Inventory, pool_of
from replicator.zfs.snapshot_names import guest_prefix, room


@dataclass(frozen=True, slots=True)
class TargetInventory:
    """The inventory of each storage on the target; an error where the target has no such storage.

    ``guests_only``: only what is the guest's was listed with its snapshots, and of others not all that is there.
    """

    inventories: Mapping[str, Inventory | StorageMissingError]
    guests_only: bool = False


@dataclass(frozen=True, slots=True)
class Discovered:
    """The guest's volumes on both sides.

    Attributes:
        volumes: each volume of the source with its dataset on the target.
        orphans: this job's replicas from this node whose name no volume has, on any storage.
        diverged: the replicas of this job that were set aside.
    """

    volumes: tuple[VolumePair, ...]
    orphans: tuple[Dataset, ...]
    diverged: tuple[Dataset, ...]

    @property
    def has_half_received(self) -> bool:
        """Whether a replica has a half-received state."""
        return any(pair.target is not None and pair.target.token for pair in self.volumes)


async def target_inventory(storages: Iterable[Storage], target: ZfsClient) -> TargetInventory:
    """Return the inventory of each of these storages on the target."""

    def all_of(storage: Storage) -> Awaitable[Inventory]:
        return target.inventory(storage.path_on(target.node), depth=LEVELS)

    return TargetInventory(await _by_storage(storages, all_of))


async def guest_inventory(
    guest: Guest,
    storages: Iterable[Storage],
    target: ZfsClient,
    remembered: tuple[Iterable[str], Iterable[Vanished]] | None,
) -> TargetInventory:
    """Return the guest's rows of each of these storages on the target, whatever else lies there.

    ``remembered``: the volumes of the last proven set, and the records of vanished ones; None: look everywhere.
    """

    def rows_of(storage: Storage) -> Awaitable[Inventory]:
        path = storage.path_on(target.node)
        names = None if remembered is None else remembered_names(storage, path, guest, *remembered)
        return guest_rows(target, path, is_of_guest(guest, storage, path), names=names)

    return TargetInventory(await _by_storage(storages, rows_of), guests_only=True)


async def _by_storage(
    storages: Iterable[Storage], read: Callable[[Storage], Awaitable[Inventory]]
) -> dict[str, Inventory | StorageMissingError]:
    found: dict[str, Inventory | StorageMissingError] = {}
    for storage in storages:
        try:
            found[storage.name] = await read(storage)
        except StorageMissingError as error:  # matters only if the guest has volumes on it
            found[storage.name] = error
    return found


def target_storages(
    guest: Guest, storages: Iterable[Storage], nodes: tuple[str, str], volumes: Iterable[str],
    vanished: Iterable[Vanished],
) -> list[Storage]:  # fmt: skip
    """Return the storages on which the target may have replicas of a guest: its own, and those that it had before.

    The settings may have narrowed the guest's storages since. Its replicas on the others are those of vanished volumes.

    Args:
        guest: the guest.
        storages: all storages.
        nodes: the source and the target.
        volumes: those of the last proven set, ``storage:name``.
        vanished: the records of replicas whose volumes are gone.
    """
    source, target = nodes
    usable = [each for each in storages if each.allowed_on(target)]
    own = [each for each in guest_storages(guest, tuple(storages), source) if each.allowed_on(target)]
    paths = {each.path_on(target) for each in usable}
    names = {each.partition(":")[0] for each in volumes}
    places = {owning_path(each.dataset, paths) for each in vanished}
    places |= {each.path_on(target) for each in usable if each.name in names}
    left = {each.path_on(target): each for each in usable if each.path_on(target) in places}
    return [*own, *(each for path, each in left.items() if path not in {one.path_on(target) for one in own})]


async def source_inventory(guest: Guest, storages: Iterable[Storage], source: ZfsClient) -> Inventory:
    """Return all the guest's storages on the source in one inventory, with bookmarks."""
    listings: list[tuple[str, Iterable[Dataset]]] = []
    for storage in guest_storages(guest, storages, source.node):
        path = storage.path_on(source.node)
        found = await source.inventory(path, depth=LEVELS, bookmarks=True, marks_of=guest_prefix(guest.id))
        listings.append((path, found.datasets.values()))
    return Inventory(_as_owners_list(listings))


def _as_owners_list(listings: Iterable[tuple[str, Iterable[Dataset]]]) -> dict[str, Dataset]:
    """Return the datasets of the listings of several paths by name, each as the storage that owns it lists it.

    Of storages inside each other the listing of the outer one is too shallow for what lies in the inner one.
    """
    found: dict[str, tuple[str, Dataset]] = {}
    for path, datasets in listings:
        for dataset in datasets:
            earlier = found.get(dataset.name)
            if earlier is None or owning_path(dataset.name, (earlier[0], path)) == path:
                found[dataset.name] = path, dataset
    return {name: dataset for name, (_, dataset) in found.items()}


async def discover(
    job: Job, guest: Guest, storages: Iterable[Storage], source: ZfsClient, target: ZfsClient
) -> Discovered:
    """List both sides at the same time, and pair the guest's volumes; raises as `pair_volumes`.

    On the target all storages are listed: it may have replicas where the guest has no volumes any more.
    """
    everywhere = tuple(storages)
    there = (each for each in everywhere if each.allowed_on(target.node))
    on_source, on_target = await gather_two(
        source_inventory(guest, everywhere, source), target_inventory(there, target)
    )
    return pair_volumes(job, guest, everywhere, (source.node, target.node), on_source, on_target)


def pair_volumes(job: Job, guest: Guest, storages: Iterable[Storage], nodes: tuple[str, str], on_source: Inventory,
         on_target: TargetInventory) -> Discovered:  # fmt: skip
    """Pair the guest's volumes with their datasets on the target.

    Raises:
        ConfigError: the guest has no volume, one that is listed by hand does not exist, or two volumes would have one
            replica.
        StorageMissingError, StorageRestrictedError: a storage with volumes cannot be used on the target.
    """
    (source, target), everywhere = nodes, tuple(storages)
    wanted = guest_volumes(guest, everywhere, source, on_source, target=target)
    volumes = [
        _pair(job, volume, storage, nodes, on_source, theirs)
        for storage, theirs, some in _usable(guest, wanted, target, on_target)
        for volume in some
    ]
    if not volumes:
        raise ConfigError(
            f"Guest {guest.id} ({guest.name}) has no volumes on node {source}.",
            advice="Check its storages and volumes in the cluster file; nothing was changed on the target.",
        )
    _refuse_doubles(volumes, target)
    _refuse_too_long(job, volumes)
    volumes.sort(key=lambda pair: pair.target_name.count("/"))  # a parent first: its replica has the child's below it
    volumes = _with_above(volumes)
    names = {pair.target_name for pair in volumes}
    paths = {storage.name: storage.path_on(target) for storage in everywhere}
    found = [(paths[name], each) for name, each in on_target.inventories.items() if isinstance(each, Inventory)]
    diverged = _as_owners_list((path, inventory.diverged_of(job.id)) for path, inventory in found)
    return Discovered(
        tuple(volumes),
        tuple(each for each in _replicas(job, found) if each.name not in names and each.source == source),
        tuple(kept for _, kept in sorted(diverged.items())),
    )


def _usable(
    guest: Guest, wanted: Iterable[tuple[Volume, Storage]], target: str, on_target: TargetInventory
) -> Iterator[tuple[Storage, Inventory, list[Volume]]]:
    """Yield each storage that has volumes, with its inventory on the target; raises where it has none."""
    by_storage: dict[str, tuple[Storage, list[Volume]]] = {}
    for volume, storage in wanted:
        by_storage.setdefault(storage.name, (storage, []))[1].append(volume)
    for name, (storage, some) in by_storage.items():
        theirs = on_target.inventories.get(name)
        if theirs is None:
            raise _restricted(guest, storage, target, some)
        if isinstance(theirs, StorageMissingError):
            raise theirs
        yield storage, theirs, some


def _replicas(job: Job, found: Sequence[tuple[str, Inventory]]) -> list[Dataset]:
    """Return the marked datasets below the storages' paths; a storage itself is none."""
    marked = _as_owners_list((path, inventory.replicas_of(job.id)) for path, inventory in found)
    paths = [path for path, _ in found]
    return [replica for name, replica in sorted(marked.items()) if owning_path(name, paths) != name]


def guest_volumes(
    guest: Guest, storages: Iterable[Storage], node: str, on_source: Inventory, *, target: str | None = None
) -> list[tuple[Volume, Storage]]:
    """Return the guest's volumes on its node with their storages, each dataset once; their children come after them.

    Several storages may have the same path: the first owns the volume, or the first that ``target`` may use.
    """
    everywhere = tuple(storages)
    usable = sorted(
        guest_storages(guest, everywhere, node), key=lambda each: target is not None and not each.allowed_on(target)
    )
    by_name = {storage.name: storage for storage in everywhere}
    excluded = {volume.dataset(by_name[volume.storage], node) for volume in guest.excluded if volume.storage in by_name}
    found: dict[str, tuple[Volume, Storage]] = {}
    for storage in usable:
        for volume in guest_volumes_on(guest, storage, on_source, storage.path_on(node)):
            dataset = volume.dataset(storage, node)
            if dataset not in excluded:
                found.setdefault(dataset, (volume, storage))
    return list(_with_children(guest, everywhere, node, on_source, found).values())


def _with_children(
    guest: Guest,
    storages: Sequence[Storage],
    node: str,
    on_source: Inventory,
    found: Mapping[str, tuple[Volume, Storage]],
) -> dict[str, tuple[Volume, Storage]]:
    """Return the guest's volumes by dataset with their children, each of which is in the storage of its parent."""
    by_name = {storage.name: storage for storage in storages}
    left_out = {each.dataset(by_name[each.storage], node): (each, by_name[each.storage])
                for each in guest.excluded if each.storage in by_name}  # fmt: skip
    everything, parents = dict(found), {**left_out, **found}
    for name in children(branches_of(guest, storages, node), found, on_source):
        parent, storage = parents[name.rpartition("/")[0]]
        parents[name] = Volume(parent.storage, f"{parent.name}/{name.rpartition('/')[2]}"), storage
        everything.setdefault(name, parents[name])
    return everything


def guest_volumes_on(guest: Guest, storage: Storage, inventory: Inventory, path: str) -> list[Volume]:
    """Return the guest's volumes on a storage: those listed in the settings, or those found by name; none excluded."""
    if not guest.volumes:
        prefixes = volume_prefixes(guest.id, path)
        names = (d.name for d in inventory.below(path) if d.name.startswith(prefixes))
        found = sorted(Volume(storage.name, name[len(path) + 1 :]) for name in names)
        return [volume for volume in found if volume not in guest.excluded]
    listed = [v for v in guest.volumes if v.storage == storage.name and v not in guest.excluded]
    for volume in listed:
        if inventory.get(f"{path}/{volume.name}") is None:
            raise ConfigError(
                f"Volume {volume} of guest {guest.id} does not exist ('{path}/{volume.name}').",
                advice="Create it, or remove it from the guest's list of volumes.",
            )
    return listed


def source_datasets(guest: Guest, storages: Iterable[Storage], node: str, on_source: Inventory) -> list[str]:
    """Return the names of the guest's datasets on its own node."""
    return [volume.dataset(storage, node) for volume, storage in guest_volumes(guest, storages, node, on_source)]


@dataclass(frozen=True, slots=True)
class Selection:
    """How to find the guest's volumes on one pool of the source: by name, or as listed in the settings."""

    places: tuple[Place, ...]
    names: tuple[str, ...]
    excluded: frozenset[str]
    branches: Branches


def selections(guest: Guest, storages: Iterable[Storage], node: str) -> dict[str, Selection]:
    """Return the selection of a guest's volumes for each pool of its node."""
    places: dict[str, list[Place]] = {}
    names: dict[str, list[str]] = {}
    excluded = set()
    everywhere = tuple(storages)
    for storage in guest_storages(guest, everywhere, node):
        path = storage.path_on(node)
        pool = pool_of(path)
        places.setdefault(pool, [])
        names.setdefault(pool, [])
        if not guest.volumes:
            places[pool].append(Place(path, volume_prefixes(guest.id, path)))
        names[pool] += [
            v.dataset(storage, node) for v in guest.volumes if v.storage == storage.name and v not in guest.excluded
        ]
        excluded |= {v.dataset(storage, node) for v in guest.excluded if v.storage == storage.name}
    branches = branches_of(guest, everywhere, node)
    found = {  # each once, also where storages have the same path
        pool: Selection(
            tuple(dict.fromkeys(places[pool])), tuple(dict.fromkeys(names[pool])), frozenset(excluded),
            branches.in_pool(pool),
        )
        for pool in places
    }  # fmt: skip
    return {pool: each for pool, each in found.items() if each.places or each.names or each.branches.roots}


def guest_storages(guest: Guest, storages: Iterable[Storage], node: str) -> list[Storage]:
    """Return the storages on which a guest may have volumes, of those that a node may use."""
    by_name = {storage.name: storage for storage in storages}
    mentioned = (*guest.volumes, *(each for each in sorted(guest.excluded) if takes_children(guest, each)))
    listed = tuple(dict.fromkeys(each.storage for each in mentioned)) if guest.volumes else ()
    names = guest.storages or listed or tuple(by_name)
    return [by_name[name] for name in names if by_name[name].allowed_on(node)]


def _with_above(volumes: Iterable[VolumePair]) -> list[VolumePair]:
    sources = {pair.target_name: pair.source for pair in volumes}
    return [
        replace(pair, above=next(filter(None, map(sources.get, parents(pair.target_name))), None)) for pair in volumes
    ]


def _pair(
    job: Job, volume: Volume, storage: Storage, nodes: tuple[str, str], on_source: Inventory, on_target: Inventory
) -> VolumePair:
    source, target = nodes
    target_name = volume.dataset(storage, target)
    dataset = on_source.datasets[volume.dataset(storage, source)]
    path = storage.path_on(target)
    reseed = on_target.get(reseed_name(path, volume))
    place, is_below_raw = _above(job, target_name, on_target)
    return VolumePair(
        volume, path, dataset, target_name, on_target.get(target_name), place, reseed, is_below_raw=is_below_raw
    )


def _above(job: Job, name: str, inventory: Inventory) -> tuple[Dataset | None, bool]:
    """Return the nearest dataset above a name that is no raw replica of the job, and whether such a one is nearer."""
    above = [each for each in map(inventory.get, parents(name)) if each is not None]
    raw = list(takewhile(lambda each: each.job == str(job.id) and each.has_own_key, above))
    return next(iter(above[len(raw) :]), None), bool(raw)


def _refuse_doubles(volumes: Iterable[VolumePair], node: str) -> None:
    first: dict[str, VolumePair] = {}
    for pair in volumes:
        other = first.setdefault(pair.target_name, pair)
        if other is not pair:
            raise ConfigError(
                f"Volumes {other.volume} and {pair.volume} would both have the replica '{pair.target_name}' "
                f"on node {node}.",
                advice="Give their storages different paths on that node in the cluster file; nothing was changed.",
            )


def _refuse_too_long(job: Job, volumes: Iterable[VolumePair]) -> None:
    for pair in volumes:
        for dataset in (pair.source.name, pair.target_name):
            if (over := -room(job.id, dataset)) > 0:
                raise ConfigError(
                    f"The name '{dataset}' of volume {pair.volume} is {over} characters too long for zsr's snapshots.",
                    volume=str(pair.volume),
                    advice="Rename the volume, or give the storage a shorter path; nothing was changed.",
                )


def _restricted(guest: Guest, storage: Storage, node: str, volumes: list[Volume]) -> StorageRestrictedError:
    return StorageRestrictedError(
        f"Storage {storage.name} is not allowed on node {node}, and guest {guest.id} has volumes on it: "
        f"{', '.join(map(str, volumes))}.",
        node=node,
    )
