"""What a replica that was set aside holds, judged by its name and its content (contract: Kept aside). Pure.

The name says what it was set aside for; what is in it now must agree, or it counts as diverged. A tool that snapshots
all that is on the target takes snapshots of it too, without a byte in them: these change nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from replicator.replication.provenance import Direction
from replicator.zfs.dataset_names import AsideName, Holds, parse_aside
from replicator.zfs.model import Dataset, Snapshot

LATE_SECONDS = 86400
"""Seconds after which a snapshot is known to be younger than the aside in which it is; clocks of nodes differ."""


@dataclass(frozen=True, slots=True)
class Aside:
    """A replica that was set aside.

    Attributes:
        dataset: it, as it was listed.
        named: the parts of its name.
        kept: the snapshots that it was set aside with.
        late: those that were taken of it since, without a byte in them.
        holds: what it holds; None: nothing is left of what it was set aside for.
    """

    dataset: Dataset
    named: AsideName
    kept: tuple[Snapshot, ...]
    late: tuple[Snapshot, ...]
    holds: Holds | None


def aside_of(dataset: Dataset) -> Aside | None:
    """Return what a dataset holds that was set aside; None if its name is not of one."""
    named = parse_aside(dataset.name)
    if named is None:
        return None
    young = named.time + LATE_SECONDS
    late = tuple(s for s in dataset.snapshots if s.job is None and s.written == 0 and s.creation > young)
    kept = tuple(snapshot for snapshot in dataset.snapshots if snapshot not in late)
    return Aside(dataset, named, kept, late, _holds(dataset, named, kept))


def is_diverged_data(dataset: Dataset) -> bool:
    """Return whether a dataset that was set aside may hold data that is nowhere else."""
    found = aside_of(dataset)
    return found is None or found.holds is Holds.DIVERGED


def reason(way: Direction, target: Dataset, newer: Iterable[Snapshot]) -> Holds:
    """Return what a replica is set aside for, whose snapshots after the base are ``newer``.

    Restore points are sets of this job that this node sent: the source was rolled back behind them.
    """
    some = tuple(newer)
    if target.written != 0 or target.token is not None or not some:
        return Holds.DIVERGED
    if all(snapshot.job != way.job and snapshot.written == 0 for snapshot in some):
        return Holds.OTHERS
    sent = way.known.sent - way.known.carried
    ours = all(snapshot.job == way.job and snapshot.guid in sent for snapshot in some)
    return Holds.POINTS if ours else Holds.DIVERGED


def _holds(dataset: Dataset, named: AsideName, kept: tuple[Snapshot, ...]) -> Holds | None:
    is_clone = dataset.origin is not None  # what it shares with the replica is there too
    if dataset.written != 0 or dataset.readonly is False or dataset.token is not None or not is_clone:
        return Holds.DIVERGED
    if not kept:
        return None
    if named.holds is Holds.POINTS and all(str(s.job) == dataset.job and s.set_time is not None for s in kept):
        return Holds.POINTS
    if named.holds is Holds.OTHERS and all(s.written == 0 for s in kept):
        return Holds.OTHERS
    return Holds.DIVERGED
