"""Coverage: which volumes of a node's guests no job replicates, and why. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from replicator.api.coverage import Gap, GuestCoverage, UncoveredVolume
from replicator.cluster.model import Cluster
from replicator.models import Guest, GuestId, JobId
from replicator.replication.branches import branches_of, children, left_out
from replicator.replication.discovery import guest_storages
from replicator.zfs.dataset_names import owning_path, volume_prefixes
from replicator.zfs.model import Dataset, Inventory


def guest_coverage(cluster: Cluster, node: str, inventories: Mapping[str, Inventory]) -> dict[GuestId, GuestCoverage]:
    """Return the jobs of each guest of a node, and what they leave out.

    Of a guest without a job nothing is listed: all of it is left out. A replica from another node is no volume of it.

    Args:
        cluster: nodes, storages, guests and jobs.
        node: the node's name.
        inventories: what lies below the paths of storages on that node, also of those that it may not use, by path.
    """
    jobs: defaultdict[GuestId, list[JobId]] = defaultdict(list)
    for job in cluster.jobs.values():
        if job.removal is None:
            jobs[job.id.guest].append(job.id)
    named, below = _by_guest(inventories, node), _below(inventories)
    found = {}
    for guest in sorted(cluster.guests.values(), key=lambda each: each.id):
        if guest.node == node:
            own = tuple(sorted(jobs.get(guest.id, ())))
            datasets = _Datasets(inventories, named.get(guest.id, {}), below)
            uncovered = sorted(_uncovered(guest, cluster, datasets)) if own else []
            found[guest.id] = GuestCoverage(guest.name, own, tuple(uncovered))
    return found


def unknown_guests(cluster: Cluster, node: str, inventories: Mapping[str, Inventory]) -> tuple[GuestId, ...]:
    """Return the guests that have volumes on a node, and that the cluster file does not have.

    A volume that another program or cluster replicates (it has snapshots with a name like zsr's, and no stamp of this
    node) is not one that was forgotten.

    Args:
        cluster: nodes, storages, guests and jobs.
        node: the node's name.
        inventories: what lies below the paths of the storages that the node may use, by path.
    """
    mentioned = {
        volume.dataset(cluster.storages[volume.storage], node)
        for guest in cluster.guests.values()
        for volume in (*guest.volumes, *guest.excluded)
        if volume.storage in cluster.storages
    }
    found: set[GuestId] = set()
    for guest, names in _by_guest(inventories, node).items():
        free = ((name, path) for name, path in names.items() if name not in mentioned)
        volumes = [each for name, path in free if (each := inventories[path].get(name)) is not None]
        if guest not in cluster.guests and any(_is_forgotten(volume, node) for volume in volumes):
            found.add(guest)
    return tuple(sorted(found))


def _is_forgotten(volume: Dataset, node: str) -> bool:
    return volume.owner == node or not any(snapshot.job for snapshot in volume.snapshots)


def in_words(coverage: Mapping[GuestId, GuestCoverage]) -> Iterator[str]:
    """Return a sentence, without its full stop, for each guest of which volumes are forgotten."""
    for guest, each in sorted(coverage.items()):
        if forgotten := each.forgotten:
            count = "1 volume is" if len(forgotten) == 1 else f"{len(forgotten)} volumes are"
            reasons = groupby(sorted(forgotten, key=lambda one: (one.reason, one.dataset)), lambda one: one.reason)
            named = "; ".join(f"{reason}: {', '.join(one.dataset for one in some)}" for reason, some in reasons)
            yield f"guest {guest}{_named(each, guest)}: {count} not replicated ({named})"


def _named(coverage: GuestCoverage, guest: GuestId) -> str:
    return f" ({coverage.name})" if coverage.name not in {"", str(guest)} else ""


def _by_guest(inventories: Mapping[str, Inventory], node: str) -> dict[GuestId, dict[str, str]]:
    """Return the datasets that look like volumes by guest and name, each with the path that it is directly below."""
    found: defaultdict[GuestId, dict[str, str]] = defaultdict(dict)
    for path, inventory in inventories.items():
        for dataset in inventory.below(path):
            number = dataset.name[len(path) + 1 :].partition("-")[2].partition("-")[0]
            if number.isascii() and number.isdigit() and dataset.source in (None, node):
                guest = int(number)
                if dataset.name.startswith(volume_prefixes(guest, path)):
                    found[guest][dataset.name] = path
    return found


@dataclass(frozen=True, slots=True)
class _Datasets:
    """The datasets of a node; ``named``: those that look like a guest's volumes, and their storages' paths."""

    inventories: Mapping[str, Inventory]
    named: Mapping[str, str]
    below: Mapping[str, Sequence[Dataset]]

    def has(self, name: str) -> bool:
        return any(inventory.get(name) is not None for inventory in self.inventories.values())

    def below_all(self, names: Iterable[str]) -> Inventory:
        """Return what lies below datasets of these names, and around that."""
        paths = {path: f"{path}/" for path in self.inventories}
        tops = {
            f"{path}/{name[len(path) + 1 :].partition('/')[0]}"
            for name in names
            for path, begin in paths.items()
            if name.startswith(begin)
        }
        return Inventory({each.name: each for top in tops for each in self.below.get(top, ())})


def _uncovered(guest: Guest, cluster: Cluster, datasets: _Datasets) -> Iterator[UncoveredVolume]:
    storages, node = cluster.storages, guest.node
    excluded = {v.dataset(storages[v.storage], node) for v in guest.excluded if v.storage in storages}
    usable = {storage.path_on(node) for storage in guest_storages(guest, storages.values(), node)}
    allowed = {each.name for each in storages.values() if each.allowed_on(node)}
    listed = {v.dataset(storages[v.storage], node) for v in guest.volumes if v.storage in allowed}
    by_name = {name for name, path in datasets.named.items() if path in usable}
    named = (listed if guest.volumes else by_name) - excluded
    branches = branches_of(guest, storages.values(), node)
    around = datasets.below_all({*named, *branches.roots})
    travelling = {*children(branches, by_name, around)}
    known = named | excluded | travelling
    yield from (UncoveredVolume(name, Gap.EXCLUDED) for name in excluded if datasets.has(name))
    for name, path in datasets.named.items():
        if name not in known:
            yield UncoveredVolume(name, Gap.NOT_LISTED if path in usable else Gap.STORAGE)
    left = {*left_out(branches, named | travelling, around)}
    yield from (UncoveredVolume(name, Gap.CHILD) for name in left - known - datasets.named.keys())


def _below(inventories: Mapping[str, Inventory]) -> dict[str, list[Dataset]]:
    """Return what lies below each dataset that is directly below a storage's path, of what that storage owns."""
    found: defaultdict[str, list[Dataset]] = defaultdict(list)
    for path, inventory in inventories.items():
        for name, dataset in inventory.datasets.items():
            rest = name[len(path) + 1 :].partition("/")
            if rest[2] and name not in inventories and owning_path(name, inventories) == path:
                found[f"{path}/{rest[0]}"].append(dataset)
    return found
