"""The flags of streams (-L, -c, -e, -w), which stay as a replica was begun (contract: What travels). Pure.

A replica that was begun without -L must never get a stream with it: OpenZFS may zero parts of files then, and says
nothing (#6224, #17866). The other way round it refuses, in clear words. So a replica of which nothing is recorded, as
another tool's, goes on without -L, and gets it only where ZFS refuses. The record names the dataset, since children
and streams take properties along.
"""

from __future__ import annotations

import re

from replicator.replication.keys import is_encrypted_there
from replicator.replication.plan import Full, Incremental
from replicator.zfs.features import Features
from replicator.zfs.model import Dataset

STREAM = "zsr:stream"
"""The property of a replica that records the flags of its streams: their letters, a colon and its own name."""

RAW = "w"
LARGE = "L"
LARGE_BYTES = 128 * 1024
"""Blocks of a dataset above this size are what -L is for."""


def recorded(replica: Dataset | None) -> str | None:
    """Return the flags with which a replica was begun, as recorded on it; None where that is not known."""
    if replica is None or replica.stream is None:
        return None
    flags, _, name = replica.stream.partition(":")
    return flags if name == replica.name else None


def flags_of(features: Features, action: Full | Incremental, *, raw: bool, large: bool = False) -> str:
    """Return the letters of the flags with which an action is sent, between two hosts with these common features.

    ``large``: the replica is known to need -L.
    """
    if raw:
        return RAW
    replica = action.pair.target if isinstance(action, Incremental) else None
    wanted = "Lce" if isinstance(action, Full) else recorded(replica) or "ce"
    if large and LARGE not in wanted:
        wanted = f"{LARGE}{wanted}"
    known = {LARGE: features.send_large_blocks, "c": features.send_compressed, "e": features.send_embedded}
    return "".join(
        flag
        for flag, is_known in known.items()
        if is_known and flag in wanted and not (flag == "e" and is_encrypted_there(action, raw=raw))
    )


def record(flags: str, replica: str) -> dict[str, str]:
    """Return the property that records the flags of a replica's streams."""
    return {STREAM: f"{flags}:{replica}"}


def needs_large(stderr: str) -> bool:
    """Return whether a receive was refused because the replica was begun with -L."""
    return re.search(r"requires -L\b", stderr) is not None


def described_way_back(volume: str, block_size: int) -> str:
    """Return the sentence about the way back of an adopted replica whose volume has large blocks."""
    return (
        f"{volume} has blocks of {block_size // 1024} KiB. If the other tool sent it without -L, a way back (from the "
        "replica to this node) needs a full copy; zsr reseed gives it a replica that needs none."
    )
