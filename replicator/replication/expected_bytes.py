"""The bytes that a transfer will take: counted where the inventory says them, else asked of the source."""

from __future__ import annotations

from replicator.replication.legs import Route
from replicator.replication.plan import Full, Incremental
from replicator.replication.snapshot_sets import sum_if_known
from replicator.replication.streams import send_argv
from replicator.zfs.client import ZfsClient
from replicator.zfs.features import Features
from replicator.zfs.model import Dataset


async def estimated(
    source: ZfsClient, features: Features, action: Full | Incremental, sent: Route, *, raw: bool
) -> int | None:
    """Return the bytes of all legs; None where this ZFS does not say it.

    ZFS estimates the first one; what was written between the snapshots after it is known.
    """
    first = sent.legs[0]
    argv = send_argv(features, action, first, raw=raw)
    return sum_if_known([await source.estimate(argv), _written_between(action.pair.source, first.to, sent.legs[-1].to)])


def _written_between(dataset: Dataset, first: str, last: str) -> int | None:
    one, other = dataset.named(first), dataset.named(last)
    if one is None or other is None:
        return 0 if first == last else None
    return sum_if_known([s.written for s in dataset.snapshots if one.createtxg < s.createtxg <= other.createtxg])
