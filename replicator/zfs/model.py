"""The model of a node's ZFS: datasets with their snapshots and bookmarks, as frozen dataclasses. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from replicator.models import JobId
from replicator.zfs.dataset_names import carried_below, is_diverged, is_reseed
from replicator.zfs.fence import Stamped
from replicator.zfs.snapshot_names import job_of, parse_snapshot_name

MADE_HERE = "nobody"
"""The ``zsr:job`` of a snapshot that was created on the replica itself, set when a run first sees it."""

PLACEHOLDER = "placeholder"
"""The ``zsr:job`` of an empty dataset on a target below which replicas lie, and whose own volume is not replicated."""


def pool_of(name: str) -> str:
    """Return the pool of a dataset or snapshot."""
    return name.partition("/")[0].partition("@")[0]


@dataclass(frozen=True, slots=True)
class SnapshotLike:
    """A snapshot or bookmark without its dataset: identity is the GUID, never the name. Times are unix seconds."""

    name: str
    guid: int
    createtxg: int
    creation: int

    @property
    def job(self) -> JobId | None:
        """The job that made it, or None if zsr (or its peer) did not."""
        return job_of(self.name)

    @property
    def set_time(self) -> int | None:
        """The unix time in the name of a job's snapshot; None for others."""
        parts = parse_snapshot_name(self.name)
        return None if parts is None else parts.set_time


@dataclass(frozen=True, slots=True)
class Snapshot(SnapshotLike):
    """A snapshot; ``written`` (bytes since the one before) may be unknown (None).

    ``made_here`` means that it was created on the replica itself: its ``zsr:job`` is `MADE_HERE`, be it borrowed, since
    that only protects it. ``source`` is its own ``zsr:source``, the node whose zsr took it; None also where the
    inventory was not asked for it (`replicator.zfs.marks`).
    """

    written: int | None = None
    made_here: bool = False
    source: str | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Bookmark(SnapshotLike):
    """A bookmark: it has the GUID of the snapshot that it was made from."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """A filesystem or zvol with its snapshots, oldest first, and its bookmarks where they were asked for.

    ``token`` is the resume token of a half-received stream; ``job`` and ``source`` are what its own properties
    ``zsr:job`` and ``zsr:source`` say; ``borrowed_marks`` means that it received or inherited such a mark, which does
    not count (`replicator.zfs.marks`). ``owner`` and ``epoch`` are what ``zsr:owner`` and ``zsr:epoch`` say (a program
    shows them only if they are local, a listing in any case). ``origin`` is the snapshot (dataset@name) of which it is
    a clone; ``encryption_root`` is None where it was not asked for. ``readonly``, ``mounted`` and ``used`` (bytes,
    snapshots included) are None where this ZFS was not asked. ``stream`` is its ``zsr:stream``
    (`replication.stream_flags`).
    """

    name: str
    is_volume: bool
    guid: int
    snapshots: tuple[Snapshot, ...] = ()
    bookmarks: tuple[Bookmark, ...] = ()
    written: int | None = None
    token: str | None = None
    job: str | None = None
    source: str | None = None
    encrypted: bool = False
    encryption_root: str | None = None
    readonly: bool | None = None
    mounted: bool | None = None
    creation: int = 0
    origin: str | None = None
    used: int | None = None
    key_loaded: bool | None = None
    salt: int | None = None
    owner: str | None = None
    epoch: str | None = None
    borrowed_marks: bool = False
    stream: str | None = None

    @property
    def stamped(self) -> Stamped:
        """Its stamps as they were listed."""
        return Stamped(self.name, self.owner, self.epoch)

    @property
    def may_be_replica(self) -> bool:
        """Whether it has marks, be they borrowed: sets that it holds may be restore points that it received."""
        return self.job is not None or self.source is not None or self.borrowed_marks

    @property
    def has_own_key(self) -> bool:
        """Whether it is its own encryption root, as a raw replica is."""
        return self.encryption_root == self.name

    def by_guid(self, guid: int) -> Snapshot | None:
        """Return the snapshot with this GUID, or None."""
        return next((snapshot for snapshot in self.snapshots if snapshot.guid == guid), None)

    def named(self, name: str) -> Snapshot | None:
        """Return the snapshot with this name, or None."""
        return next((snapshot for snapshot in self.snapshots if snapshot.name == name), None)


@dataclass(frozen=True, slots=True)
class Inventory:
    """The datasets found on one node, by name."""

    datasets: Mapping[str, Dataset] = field(default_factory=dict)

    def get(self, name: str) -> Dataset | None:
        """Return the dataset of this name, or None."""
        return self.datasets.get(name)

    def replicas_of(self, job: JobId) -> list[Dataset]:
        """Return the datasets whose own ``zsr:job`` names a job, children before parents, without diverged replicas.

        What moved along with one that was set aside is still a replica.
        """
        marked = [d for name, d in self.datasets.items() if d.job == str(job) and not _is_kept_aside(name)]
        return sorted(marked, key=lambda each: (-each.name.count("/"), each.name))

    def diverged_of(self, job: JobId) -> list[Dataset]:
        """Return the diverged replicas of a job, which were set aside."""
        marked = [d for name, d in sorted(self.datasets.items()) if _is_kept_aside(name) and d.job == str(job)]
        return [dataset for dataset in marked if not is_reseed(dataset.name)]

    def reseeds_of(self, job: JobId) -> list[Dataset]:
        """Return the new replicas of a job in the making, which ``zsr reseed`` began."""
        return [d for name, d in sorted(self.datasets.items()) if is_reseed(name) and d.job == str(job)]

    def below(self, path: str) -> Iterable[Dataset]:
        """Return the datasets that are direct children of a path."""
        prefix = path + "/"
        return (
            dataset
            for name, dataset in self.datasets.items()
            if name.startswith(prefix) and "/" not in name[len(prefix) :]
        )


def _is_kept_aside(name: str) -> bool:
    return is_diverged(name) and carried_below(name) is None
