"""Builders of snapshots, datasets and pairs of volumes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from replicator.models import JobId, Volume
from replicator.replication.plan import VolumePair
from replicator.replication.provenance import Direction
from replicator.zfs.model import Bookmark, Dataset, Snapshot
from replicator.zfs.snapshot_names import snapshot_name

JOB = JobId(100, 1)


WAY = Direction(JOB, "alpha", "beta")


def snap(guid: int, name: str | None = None, *, written: int | None = 0) -> Snapshot:
    """A snapshot whose order is its GUID's; named as the job's own by default."""
    return Snapshot(name or snapshot_name(JOB, 1000 + guid), guid, createtxg=guid, creation=guid, written=written)


def dataset(
    *snapshots: Snapshot,
    name: str = "tank/a",
    job: str | None = None,
    written: int | None = 0,
    is_volume: bool = False,
    **more: Any,
) -> Dataset:
    """A dataset with these snapshots, oldest first; one with a job is marked as replica from alpha."""
    ordered = tuple(sorted(snapshots, key=lambda s: s.createtxg))
    more.setdefault("source", None if job is None else "alpha")
    return Dataset(name, is_volume, 1, ordered, written=written, job=job, **more)


def bookmark(guid: int) -> Bookmark:
    """The bookmark of the snapshot of this GUID."""
    return Bookmark(snapshot_name(JOB, 1000 + guid), guid, createtxg=guid, creation=guid)


def pair(source: Dataset, target: Dataset | None) -> VolumePair:
    """One volume as found on both sides."""
    return VolumePair(Volume("data", "vm-100-disk-0"), "pool", source, "pool/vm-100-disk-0", target)


def promoted(datasets: Mapping[str, Dataset], name: str) -> dict[str, Dataset]:
    """A clone and its origin after ``zfs promote``: the clone has the snapshots up to the shared one."""
    clone = datasets[name]
    of, _, short = (clone.origin or "").partition("@")
    parent = datasets[of]
    shared = parent.named(short)
    assert shared is not None
    moved = tuple(s for s in parent.snapshots if s.createtxg <= shared.createtxg)
    left = tuple(s for s in parent.snapshots if s.createtxg > shared.createtxg)
    return {
        name: replace(clone, snapshots=moved + clone.snapshots, origin=None),
        of: replace(parent, snapshots=left, origin=f"{name}@{short}"),
    }
