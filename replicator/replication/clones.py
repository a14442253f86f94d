"""Clones on the source: their replicas are full copies, which share nothing with that of their origin. Pure."""

from __future__ import annotations

from replicator.common.sizes import size
from replicator.replication.plan import Full, Incremental, VolumePair
from replicator.zfs.snapshot_names import job_of


def described_clone(action: Full | Incremental, expected: int | None) -> str | None:
    """Return the sentence about a clone that is sent in full, with the ``expected`` bytes; None for all else."""
    pair = action.pair
    if not isinstance(action, Full) or pair.source.origin is None:
        return None
    cost = "a full copy" if expected is None else f"a full copy of {size(expected)}"
    return f"{pair.volume} is a clone of {pair.source.origin}: it arrives as {cost}{_own(pair)}{_promoted(pair)}"


def _promoted(pair: VolumePair) -> str:
    """Return what would save the copy: the origin is the set that the replica holds, so the base was the volume's."""
    name = (pair.source.origin or "").partition("@")[2]
    if pair.target is None or job_of(name) is None or pair.target.named(name) is None:
        return ""
    return (
        f". Its base went there by 'zfs promote': 'zfs promote {pair.source.name}' brings it back, and saves the copy "
        "if it comes before"
    )


def _own(pair: VolumePair) -> str:
    used = pair.source.used
    return "" if used is None else f", while it takes {size(used)} besides its origin on the source"
