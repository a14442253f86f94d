"""The replicas that a node holds for others, and their restore points, read from the node's own ZFS. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from replicator.api.held import HeldReplica
from replicator.errors import ConfigError
from replicator.models import GuestId, JobId
from replicator.replication.provenance import sets_of
from replicator.replication.replica_heads import Heads, replica_heads
from replicator.replication.snapshot_sets import sum_if_known
from replicator.zfs.dataset_names import DIVERGED_DATASET, aside_stem, is_diverged, parse_aside
from replicator.zfs.model import Dataset, Inventory

Sender = tuple[JobId, str]
"""A job, and the node that sends its replicas."""


@dataclass(frozen=True, slots=True)
class Replica:
    """A replica on this node: its storage, its job, its source node, and the sets that were set aside with another one.

    Sets are known by their times (unix seconds).
    """

    storage: str
    job: JobId
    source: str
    dataset: Dataset
    aside: frozenset[int] = frozenset()

    @property
    def sets(self) -> set[int]:
        """The sets of its job that it has."""
        return set(sets_of(self.job, self.dataset))

    @property
    def points(self) -> set[int]:
        """The sets of its volume that are here, also in what was set aside."""
        return self.sets | self.aside


def held_replicas(found: Iterable[Replica]) -> list[HeldReplica]:
    """Return what replicas in storages (`replicas_in`) hold for other nodes, by storage, guest and source.

    The last sync of a guest is that of its oldest replica. A replica without a snapshot of its job holds nothing yet;
    one whose volume left the guest does not count.
    """
    jobs: defaultdict[Sender, dict[str, Collection[int]]] = defaultdict(dict)
    places: defaultdict[tuple[GuestId, str, str], list[Replica]] = defaultdict(list)
    for each in found:
        jobs[each.job, each.source][each.dataset.name] = each.sets
        places[each.job.guest, each.source, each.storage].append(each)
    heads = {job: replica_heads(sets) for job, sets in jobs.items()}
    return [held for _, here in sorted(places.items()) if (held := _held_here(here, heads)) is not None]


def replicas_in(inventories: Mapping[str, Inventory]) -> list[Replica]:
    """Return the replicas of other nodes' volumes, with what was set aside of each.

    Args:
        inventories: what each storage owns, by the storage's name.
    """
    found: list[Replica] = []
    asides: defaultdict[str, defaultdict[Sender, set[int]]] = defaultdict(lambda: defaultdict(set))
    for storage, inventory in inventories.items():
        for dataset in inventory.datasets.values():
            if dataset.source is None or (job := _job(dataset)) is None:
                continue
            replica = Replica(storage, job, dataset.source, dataset)
            if not is_diverged(dataset.name):
                found.append(replica)
            elif (named := parse_aside(dataset.name)) is not None:
                asides[named.stem][job, dataset.source] |= replica.sets
    paths = {stem.rpartition(f"/{DIVERGED_DATASET}/")[0] for stem in asides}
    return [_with_aside(each, paths, asides) for each in found]


def _with_aside(
    replica: Replica, paths: Collection[str], asides: Mapping[str, Mapping[Sender, Collection[int]]]
) -> Replica:
    name, sender = replica.dataset.name, (replica.job, replica.source)
    stems = [aside_stem(path, name[len(path) + 1 :]) for path in paths if name.startswith(f"{path}/")]
    found = frozenset(at for stem in stems for at in asides.get(stem, {}).get(sender, ()))
    return replace(replica, aside=found) if found else replica


def _held_here(here: Sequence[Replica], heads: Mapping[Sender, Heads]) -> HeldReplica | None:
    """Return what one storage holds of one guest for one source; None if that is no copy yet."""
    known = [(each.dataset.name, heads[each.job, each.source]) for each in here]
    current = [each for each, (name, of) in zip(here, known, strict=True) if name not in of.left]
    times = [max(sets) for each in current if (sets := each.sets)]
    if not times or len(times) < len(current):
        return None
    points = set.intersection(*(each.points for each in current))
    return HeldReplica(
        guest=here[0].job.guest,
        source=here[0].source,
        storage=here[0].storage,
        last_sync=min(times),
        used=sum_if_known(each.dataset.used for each in here),
        ahead=any(name in of.ahead for name, of in known),
        volumes=len(current),
        points=len(points),
        oldest_point=min(points, default=None),
        foreign=max(foreign_snapshots(each.dataset) for each in current),
    )


def foreign_snapshots(dataset: Dataset) -> int:
    """Return how many snapshots of a dataset no job took."""
    return sum(snapshot.job is None for snapshot in dataset.snapshots)


def _job(dataset: Dataset) -> JobId | None:
    try:
        return JobId.parse(dataset.job or "")
    except ConfigError:
        return None
