"""The preview of ``zsr reseed``: the volumes that are sent again, their bytes, and the space that the target needs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from replicator.common.sizes import size
from replicator.common.tasks import gather_two
from replicator.errors import NoSpaceError, ZsrError
from replicator.models import Guest, Job, Storage, Volume
from replicator.replication.discovery import (
    TargetInventory,
    guest_storages,
    pair_volumes,
    source_inventory,
    target_inventory,
)
from replicator.replication.expected_bytes import estimated
from replicator.replication.keys import check_keys
from replicator.replication.legs import route
from replicator.replication.plan import Full, VolumePair, choose_base
from replicator.replication.provenance import Direction
from replicator.replication.reseeding import choose_volumes, redirected, refuse_swap, reseed_name
from replicator.replication.snapshot_sets import sum_if_known, unreplicated_bytes
from replicator.zfs.client import ZfsClient
from replicator.zfs.dataset_names import DIVERGED_DATASET
from replicator.zfs.model import Dataset, Inventory, pool_of


@dataclass(frozen=True, slots=True)
class VolumeReseed:
    """One volume that is sent again.

    Attributes:
        volume: the volume; ``path`` is its storage's on the target.
        new: the dataset that receives it; ``old`` is the one whose place it takes, None where there is none.
        bytes: how many are still to be sent; None where that is not known.
        space: how many the target needs for it; None where that is not known.
        begun: an earlier reseed was cut off, and is continued.
    """

    volume: Volume
    path: str
    new: str
    old: str | None
    bytes: int | None
    space: int | None
    begun: bool


@dataclass(frozen=True, slots=True)
class ReseedPreview:
    """What ``zsr reseed`` would do; ``available`` are the free bytes of the storages' paths on the target."""

    job: Job
    volumes: tuple[VolumeReseed, ...]
    available: Mapping[str, int] = field(default_factory=dict)

    @property
    def space(self) -> int | None:
        """The bytes that the target needs for all of them; None where that is not known."""
        return sum_if_known(volume.space for volume in self.volumes)


async def look_at_reseed(
    job: Job, guest: Guest, storages: Sequence[Storage], wanted: Sequence[str], source: ZfsClient, target: ZfsClient
) -> ReseedPreview:
    """List both sides; return what a reseed of the wanted volumes (none: all) would do.

    Raises:
        ConfigError, TargetActiveError, EncryptionError: it would be refused.
        NoSpaceError: the target has no room for the new replicas.
        ZsrError: a side cannot be listed.
    """
    own = [each for each in guest_storages(guest, storages, source.node) if each.allowed_on(target.node)]
    on_source, on_target = await gather_two(source_inventory(guest, storages, source), target_inventory(own, target))
    found = pair_volumes(job, guest, storages, (source.node, target.node), on_source, on_target)
    chosen = choose_volumes(job.id, found.volumes, found.diverged, wanted)
    late = not (await target.features()).receive_properties
    way = Direction(job.id, source.node, target.node, marks_late=late)
    refuse_swaps(way, chosen, on_target)
    return await measured(job, chosen, on_target, source, target)


def refuse_swaps(way: Direction, chosen: Sequence[VolumePair], on_target: TargetInventory) -> None:
    """Raise the error of the first volume whose old replica may not be swapped; see `reseeding.refuse_swap`."""
    for pair in chosen:
        inventory = on_target.inventories.get(pair.volume.storage)
        if isinstance(inventory, Inventory):
            refuse_swap(way, pair, inventory)


async def measured(
    job: Job, chosen: Sequence[VolumePair], on_target: TargetInventory, source: ZfsClient, target: ZfsClient
) -> ReseedPreview:
    """Return the preview of the chosen volumes, as both sides were listed.

    Raises:
        EncryptionError: the keys on either side do not allow it.
        NoSpaceError: the target has no room for the new replicas.
    """
    volumes = [await _measured(job, pair, on_target, source, target) for pair in chosen]
    space = await target.space(sorted({pair.target_path for pair in chosen}))
    preview = ReseedPreview(job, tuple(volumes), {path: available for path, (_, available) in space.items()})
    refuse_no_space(preview)
    return preview


def refuse_no_space(preview: ReseedPreview) -> None:
    """Raise NoSpaceError if a path of the target, or its pool, has no room for the new replicas of known size."""
    of_path: dict[str, int] = defaultdict(int)
    of_pool: dict[str, int] = defaultdict(int)
    free: dict[str, int] = {}
    for path, available in preview.available.items():
        free[pool_of(path)] = max(available, free.get(pool_of(path), 0))
    for volume in preview.volumes:
        of_path[volume.path] += volume.space or 0
        of_pool[pool_of(volume.path)] += volume.space or 0
    for path, needed in of_path.items():
        if path in preview.available and needed > preview.available[path]:
            raise _no_space(preview.job, path, needed, preview.available[path])
    for pool, needed in of_pool.items():
        if pool in free and needed > free[pool]:
            raise _no_space(preview.job, pool, needed, free[pool])


def _no_space(job: Job, place: str, needed: int, available: int) -> NoSpaceError:
    return NoSpaceError(
        f"'{place}' on node {job.target} has {size(available)} left, and the new replicas need {size(needed)}: the old "
        "ones stay until a person destroys them.",
        node=job.target,
        advice="Free space there, or send one volume at a time and destroy its old replica before the next one: "
        f"zsr reseed {job.id} VOLUME; zsr diverged list.",
    )


async def _measured(
    job: Job, pair: VolumePair, on_target: TargetInventory, source: ZfsClient, target: ZfsClient
) -> VolumeReseed:
    action = Full(redirected(pair, folder_of(pair, on_target)))
    raw = check_keys(job, action)
    left = await _bytes_left(job, pair, action, source, target, raw=raw)
    begun = pair.reseed is not None
    return VolumeReseed(
        volume=pair.volume,
        path=pair.target_path,
        new=reseed_name(pair.target_path, pair.volume),
        old=None if pair.target is None else pair.target.name,
        bytes=left,
        space=left if begun or not pair.source.is_volume or left is None else max(left, await _reserved(pair, source)),
        begun=begun,
    )


async def _reserved(pair: VolumePair, source: ZfsClient) -> int:
    """Return the space that a volume reserves, which its replica does as well."""
    text = (await source.portable_properties(pair.source.name)).get("refreservation", "")
    return int(text) if text.isdigit() else 0


async def _bytes_left(
    job: Job, pair: VolumePair, action: Full, source: ZfsClient, target: ZfsClient, *, raw: bool
) -> int | None:
    new, dataset = pair.reseed, pair.source
    if new is not None and new.snapshots and (base := choose_base(dataset, new)) is not None:
        return unreplicated_bytes(dataset, base)
    if new is not None and new.token is not None:
        try:
            return await source.remaining(new.token)
        except ZsrError:  # it cannot be resumed, and is dropped
            pass
    newest = max(dataset.snapshots, key=lambda each: each.createtxg, default=None)
    if newest is not None:
        features = (await source.features()).common(await target.features())
        until = await estimated(source, features, action, route(action, newest.name, job.snapshots), raw=raw)
        expected = sum_if_known([until, dataset.written])
        if expected is not None:
            return expected
    return dataset.used


def folder_of(pair: VolumePair, on_target: TargetInventory) -> Dataset | None:
    """Return the dataset in which a volume's new replica lies, if it exists."""
    inventory = on_target.inventories.get(pair.volume.storage)
    return inventory.get(f"{pair.target_path}/{DIVERGED_DATASET}") if isinstance(inventory, Inventory) else None
