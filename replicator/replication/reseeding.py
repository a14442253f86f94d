"""New replicas in the making, which ``zsr reseed`` sends next to the old ones: place, volumes, what they need. Pure.

A new replica lies in the storage's folder of diverged replicas, under the volume's name and an ending that no replica
that was set aside has. It has the job's marks. No run touches it; what the source must keep for it stays there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace

from replicator.errors import ConfigError, EncryptionError, TargetActiveError, ZfsError
from replicator.models import JobId, Volume
from replicator.replication.plan import VolumePair, choose_base
from replicator.replication.provenance import Direction, foreign, sets_of, writable
from replicator.zfs.dataset_names import DIVERGED_DATASET, RESEED_SUFFIX, Holds, aside_stem, parse_aside
from replicator.zfs.model import PLACEHOLDER, Dataset, Inventory
from replicator.zfs.resume_token import decode_token


def reseed_name(path: str, volume: Volume) -> str:
    """Return the name of a volume's new replica in the making."""
    return f"{aside_stem(path, volume.name)}{RESEED_SUFFIX}"


def needed(pair: VolumePair) -> frozenset[str]:
    """Return the snapshots and bookmarks of the source, by name, with which a new replica in the making goes on."""
    new = pair.reseed
    if new is None:
        return frozenset()
    guids = set()
    if new.token is not None:
        with suppress(ZfsError):  # one that cannot be read cannot be resumed either
            token = decode_token(new.token)
            guids = {token.to_guid, token.from_guid}
    base = choose_base(pair.source, new)
    names = {each.name for each in (*pair.source.snapshots, *pair.source.bookmarks) if each.guid in guids}
    return frozenset(names if base is None else names | {base.name})


def redirected(pair: VolumePair, folder: Dataset | None) -> VolumePair:
    """Return the volume with its new replica in the making as the one that receives.

    ``folder`` is the dataset in which it lies, if that exists.
    """
    name = reseed_name(pair.target_path, pair.volume)
    return replace(pair, target_name=name, target=pair.reseed, place=folder or pair.place)


def choose_volumes(
    job: JobId, volumes: Sequence[VolumePair], diverged: Iterable[Dataset], wanted: Collection[str]
) -> list[VolumePair]:
    """Return the volumes to send again: those that are wanted by name, or all.

    Where an earlier ``zsr reseed`` of all was cut off between the swaps, those that were swapped then are left out.

    Raises:
        ConfigError: a volume is not one of the guest's.
    """
    by_name = {str(pair.volume): pair for pair in volumes}
    unknown = sorted(set(wanted) - by_name.keys())
    if unknown:
        raise ConfigError(
            f"'{unknown[0]}' is not a volume of guest {job.guest}.", advice=f"Its volumes are: {', '.join(by_name)}."
        )
    if wanted:
        return [by_name[name] for name in by_name if name in wanted]
    waiting = [max(sets) for pair in volumes if (sets := sets_of(job, pair.reseed))]
    if not waiting:
        return list(volumes)
    kept = [dataset.name for dataset in diverged]
    swapped = {pair.volume for pair in volumes if pair.reseed is None and _kept_since(pair, kept, min(waiting))}
    return [pair for pair in volumes if pair.volume not in swapped]


def _kept_since(pair: VolumePair, kept: Iterable[str], since: int) -> bool:
    """Return whether a replica of a volume was set aside at or after a moment (unix seconds)."""
    stem = aside_stem(pair.target_path, pair.volume.name)
    found = [named for name in kept if (named := parse_aside(name)) is not None]
    return any(each.stem == stem and each.holds is Holds.DIVERGED and each.time >= since for each in found)


def refuse_swap(way: Direction, pair: VolumePair, inventory: Inventory) -> None:
    """Raise unless the old replica of a volume may be set aside, and the new one may take its place.

    Raises:
        TargetActiveError: the old one is not this job's, or is in use.
        ConfigError: other datasets lie below it, and would move along.
        EncryptionError: the folder has another key than the storage, so that nothing can be moved between them.
    """
    folder, storage = inventory.get(f"{pair.target_path}/{DIVERGED_DATASET}"), inventory.get(pair.target_path)
    if folder is not None and storage is not None and folder.encryption_root != storage.encryption_root:
        raise EncryptionError(
            f"'{folder.name}' on node {way.target} does not have the key of '{storage.name}'. A replica received there "
            "cannot be moved.",
            node=way.target,
            volume=str(pair.volume),
            advice=f"Empty it and destroy it (zsr diverged list; zfs destroy {folder.name}); zsr makes it again.",
        )
    old = pair.target
    if old is None:
        return
    if (error := foreign(way, pair.volume, pair.source, old, choose_base(pair.source, old))) is not None:
        raise error
    if old.readonly is False:
        raise writable(way, old, pair.volume)
    if old.mounted:
        raise TargetActiveError(
            f"The replica '{old.name}' on node {way.target} is mounted, and must be set aside for the new one.",
            node=way.target,
            volume=str(pair.volume),
            advice="Unmount it there (zfs unmount), then repeat the command.",
        )
    own = (str(way.job), PLACEHOLDER)  # they go back below the new one
    found = (each for name, each in sorted(inventory.datasets.items()) if name.startswith(f"{old.name}/"))
    below = [each.name for each in found if each.job not in own or each.readonly is False or each.mounted]
    if below:
        raise ConfigError(
            f"'{below[0]}' lies below the replica '{old.name}' on node {way.target}, and would be set aside with it.",
            advice="Move it elsewhere there (zfs rename), then repeat the command.",
        )
