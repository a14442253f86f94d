"""What one look at a node's ZFS yields: datasets with their snapshots, as frozen facts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from replicator.jobs import JobId

_NAME = re.compile(r"__replicate_(?P<job>[1-9][0-9]{2,8}-[0-9]{1,9})_(?P<time>[0-9]{1,12})__", re.ASCII)


def snapshot_name(job: JobId, time: int) -> str:
    """The name of a job's snapshot taken at a unix time (the peer's format, DESIGN 3)."""
    return f"__replicate_{job}_{time}__"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A snapshot without its dataset: identity is the GUID, never the name. ``written`` may be unknown (None)."""

    name: str
    guid: int
    createtxg: int
    creation: int
    written: int | None = None

    @property
    def job(self) -> JobId | None:
        """The job that made it, or None if zsr (or its peer) did not."""
        match = _NAME.fullmatch(self.name)
        return JobId.parse(match["job"]) if match else None

    @property
    def set_time(self) -> int | None:
        """The unix time in the name of a job's snapshot; None for others."""
        match = _NAME.fullmatch(self.name)
        return int(match["time"]) if match else None


@dataclass(frozen=True, slots=True)
class Dataset:
    """A filesystem or zvol with its snapshots, oldest first.

    ``token`` is the resume token of a half-received stream; ``job`` and ``source`` are what the
    properties ``zsr:job`` and ``zsr:source`` say.
    """

    name: str
    is_volume: bool
    guid: int
    snapshots: tuple[Snapshot, ...] = ()
    written: int | None = None
    token: str | None = None
    job: str | None = None
    source: str | None = None
    encrypted: bool = False

    def by_guid(self, guid: int) -> Snapshot | None:
        """The snapshot with this GUID, or None."""
        return next((snapshot for snapshot in self.snapshots if snapshot.guid == guid), None)

    def named(self, name: str) -> Snapshot | None:
        """The snapshot with this name, or None."""
        return next((snapshot for snapshot in self.snapshots if snapshot.name == name), None)


@dataclass(frozen=True, slots=True)
class Inventory:
    """The datasets found on one node, by name."""

    datasets: Mapping[str, Dataset] = field(default_factory=dict)

    def get(self, name: str) -> Dataset | None:
        """The dataset of this name, or None."""
        return self.datasets.get(name)

    def replicas_of(self, job: JobId) -> list[Dataset]:
        """The datasets whose ``zsr:job`` names a job, leaving out children that merely inherit it."""
        marked = {name: dataset for name, dataset in self.datasets.items() if dataset.job == str(job)}
        return [dataset for name, dataset in sorted(marked.items()) if name.rpartition("/")[0] not in marked]

    def below(self, path: str) -> Iterable[Dataset]:
        """The datasets that are direct children of a path."""
        prefix = path + "/"
        return (
            dataset
            for name, dataset in self.datasets.items()
            if name.startswith(prefix) and "/" not in name[len(prefix) :]
        )


@dataclass(frozen=True, slots=True)
class ResumeToken:
    """What a half-received state waits for: the snapshot it will become, and what is still to be sent."""

    token: str
    to_name: str
    to_guid: int
    remaining: int | None
