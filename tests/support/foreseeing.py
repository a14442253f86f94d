"""Builders of what a run would find, for tests of its preview."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from replicator.errors import ZsrError
from replicator.models import Job, KnownSets, Synced, Volume
from replicator.replication.discovery import Discovered
from replicator.replication.foreseen import Facts, foresee
from replicator.replication.foreseen_destruction import destructions
from replicator.replication.plan import VolumePair
from replicator.replication.preview import Destruction, VolumePreview
from replicator.replication.volume_previews import Asked, volume_previews
from replicator.zfs.features import Features
from replicator.zfs.model import Dataset, Snapshot, SnapshotLike
from tests.support.volumes import JOB, WAY, dataset

MODERN = Features(
    "2.3", receive_properties=True, send_large_blocks=True, send_compressed=True, send_embedded=True, send_raw=True
)
NOW = 2000.0
REPLICA = "pool/vm-100-disk-0"
"""The replica of the volume of `tests.support.volumes.pair`."""


def replica(*snapshots: Snapshot, **more: Any) -> Dataset:
    """The replica of that volume, as alpha's job made it."""
    more.setdefault("stream", f"Lce:{REPLICA}")
    return dataset(*snapshots, name=REPLICA, job=str(JOB), readonly=True, **more)


def facts(
    *pairs: VolumePair,
    synced: Synced | None = None,
    may_snapshot_first: bool = False,
    orphans: Iterable[Dataset] = (),
    diverged: Iterable[Dataset] = (),
    tokens: Mapping[Volume, int | ZsrError | None] | None = None,
    **job: Any,
) -> Facts:
    """What a run of alpha's job finds; by default one in doubt, which remembers nothing."""
    known = synced or Synced()
    return Facts(
        job=Job(JOB, "beta", **job),
        way=replace(WAY, known=known.sets),
        synced=known,
        discovered=Discovered(pairs, tuple(orphans), tuple(diverged)),
        tokens=tokens or {},
        bookmarks=True,
        programs=True,
        may_snapshot_first=may_snapshot_first,
        now=NOW,
    )


def remembered(proven: int, *taken: int) -> Synced:
    """A node that proved a set, and took some; each is given by the GUID of its snapshot."""
    return Synced(1000.0 + proven, 1000 + proven, KnownSets(1000 + proven, (), tuple(1000 + each for each in taken)))


def previews(found: Facts, sizes: Mapping[Volume, int | None] | None = None) -> tuple[VolumePreview, ...]:
    """The previews of the volumes, between two nodes with a modern ZFS."""
    return volume_previews(found, foresee(found), Asked(MODERN, MODERN, sizes or {}))


def all_destructions(found: Facts) -> tuple[Destruction, ...]:
    """What the run destroys, and what it leaves."""
    return destructions(found, foresee(found))


def doomed(found: Facts) -> dict[str, tuple[str, str]]:
    """What the run destroys, with the moment and the law."""
    return {each.what: (each.when, each.law) for each in all_destructions(found) if each.permitted}


def left(found: Facts) -> dict[str, str]:
    """What the run leaves, with the law."""
    return {each.what: each.law for each in all_destructions(found) if not each.permitted}


def named(dataset: str, *snapshots: SnapshotLike) -> set[str]:
    """The full names of a dataset's snapshots."""
    return {f"{dataset}@{each.name}" for each in snapshots}
