"""Permits to destroy: what a call may destroy, named by GUID, and the law that allows it (contract: Destruction). Pure.

Only `replication.destruction` issues them, and every call of `ZfsClient` that destroys takes one;
tests/unit/test_destruction_is_decided_once.py holds both. A name in a permit says where to look: what is found there is
destroyed only if it has the permit's GUID.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from replicator.zfs.fence import Fence
from replicator.zfs.model import Bookmark, Snapshot


class Law(StrEnum):
    """The laws of destruction, as docs/replication.md explains them."""

    PROVEN_STAYS = "proven stays"
    OURS = "ours"
    IN_USE = "in use"
    VANISHED = "vanished is not gone"
    ONLY_COPY = "the only copy"
    OTHERS = "snapshots of others"
    UNKNOWN = "unknown is not gone"
    THIS_RUN = "of this run"


@dataclass(frozen=True, slots=True)
class SnapshotsPermit:
    """Destroy these snapshots of a dataset; those that something still needs go when it goes.

    A ``fence`` is what the dataset's stamps must pass.
    """

    law: Law
    why: str
    dataset: str
    snapshots: tuple[Snapshot, ...]
    fence: Fence | None = None

    @property
    def names(self) -> list[str]:
        """The full names of the snapshots, ``dataset@name``."""
        return [f"{self.dataset}@{snapshot.name}" for snapshot in self.snapshots]

    def only(self, names: Iterable[str]) -> SnapshotsPermit:
        """Return the permit for those of its snapshots that have one of these full names."""
        wanted = set(names)
        left = tuple(s for s in self.snapshots if f"{self.dataset}@{s.name}" in wanted)
        return replace(self, snapshots=left)


@dataclass(frozen=True, slots=True)
class BookmarksPermit:
    """Destroy these bookmarks of a dataset. A bookmark has the GUID of the snapshot that it was made from."""

    law: Law
    why: str
    dataset: str
    bookmarks: tuple[Bookmark, ...]


@dataclass(frozen=True, slots=True)
class RollbackPermit:
    """Roll a replica back to a snapshot; ``newer`` are the snapshots that may be destroyed for it.

    ``job`` and ``source`` are the marks that the replica must have itself; a ``fence`` is what its stamps must pass.
    """

    law: Law
    why: str
    dataset: str
    to: Snapshot
    newer: SnapshotsPermit
    job: str
    source: str
    fence: Fence | None = None

    @property
    def destroyed(self) -> tuple[Snapshot, ...]:
        """The snapshots that may be destroyed for it."""
        return self.newer.snapshots


@dataclass(frozen=True, slots=True)
class ReplicaPermit:
    """Destroy a replica with the snapshots that it had when it was decided, and no others.

    ``job`` and ``source`` are the marks that it must have itself; ``source`` is None where only the job is compared.
    A ``kept_aside`` one may be writable and written to: a person asked for its destruction. A ``fence`` is what its
    stamps must pass.
    """

    law: Law
    why: str
    dataset: str
    guid: int
    snapshots: tuple[Snapshot, ...]
    job: str
    source: str | None
    kept_aside: bool = False
    fence: Fence | None = None


@dataclass(frozen=True, slots=True)
class HalfReceivedPermit:
    """Drop the half-received state of a dataset, if it still is the one of this resume token; it may have grown."""

    law: Law
    why: str
    dataset: str
    token: str
