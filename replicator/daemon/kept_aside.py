"""What was set aside on a node: how much of what kind, since when, and how many volumes wait for a decision. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from replicator.api.held import AsideKind, KeptAside
from replicator.models import GuestId, Job, JobId
from replicator.replication.asides import is_diverged_data
from replicator.replication.diverged import diverged_below
from replicator.replication.snapshot_sets import sum_if_known, unreplicated_bytes
from replicator.zfs.dataset_names import is_reseed, parse_aside
from replicator.zfs.model import Dataset, Inventory


def kept_aside(inventories: Mapping[str, Inventory], jobs: Mapping[JobId, Job], node: str) -> tuple[KeptAside, ...]:
    """Return all that is kept aside on a node, by guest and kind.

    Args:
        inventories: the node's storages by path.
        jobs: all jobs of the cluster.
        node: the node's name.
    """
    found: defaultdict[tuple[GuestId, AsideKind], dict[str, Dataset]] = defaultdict(dict)
    for path, each in inventories.items():
        for dataset, job in diverged_below(path, each):
            if not is_reseed(dataset.name):
                found[job.guest, _kind(dataset, jobs.get(job), node)][dataset.name] = dataset
    return tuple(
        KeptAside(
            guest=guest,
            kind=kind,
            count=len(datasets),
            oldest=min(filter(None, map(_since, datasets)), default=None),
            size=sum_if_known(unreplicated_bytes(dataset, None) for dataset in datasets.values()),
        )
        for (guest, kind), datasets in sorted(found.items())
    )


def count_diverged(
    asides: Iterable[KeptAside], jobs: Iterable[Job], node: str, *, all_read: bool
) -> dict[GuestId, int]:
    """Return how many volumes are kept aside on a node because they differ from their source, by guest.

    Stale restore points, and asides with nothing but snapshots of others, do not count.

    Args:
        asides: all that is kept aside there.
        jobs: all jobs of the cluster; a guest with one that targets the node counts from 0 on.
        node: the node's name.
        all_read: whether all of the node's storages were read; else a guest of which nothing was found is missing.
    """
    counts = {job.id.guest: 0 for job in jobs if job.target == node and all_read}
    return counts | {each.guest: each.count for each in asides if each.kind is AsideKind.DIVERGED}


def _kind(dataset: Dataset, job: Job | None, node: str) -> AsideKind:
    if is_diverged_data(dataset):
        return AsideKind.DIVERGED
    return AsideKind.AGING if job is not None and job.target == node else AsideKind.LEFT


def _since(name: str) -> float | None:
    named = parse_aside(name)
    return None if named is None else float(named.time)
