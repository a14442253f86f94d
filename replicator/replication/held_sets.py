"""What the target holds of a volume when an action's preparations are done, asides included. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from replicator.replication.plan import (
    CloneFromDiverged,
    Full,
    Incremental,
    TagForeignSnapshots,
    VolumePair,
    choose_base,
)
from replicator.replication.trees import BringBack
from replicator.zfs.dataset_names import aside_stem, parse_aside
from replicator.zfs.model import Dataset


def left_on_target(action: Full | Incremental) -> VolumePair:
    """Return the volume as it will be after the action's preparations, which may destroy or move sets."""
    pair = action.pair
    if pair.target is None or all(isinstance(step, TagForeignSnapshots | BringBack) for step in action.preparations):
        return pair
    if isinstance(action, Full):
        return replace(pair, target=None)
    base_on_target = pair.target.by_guid(action.base.guid)
    kept = [s for s in pair.target.snapshots if base_on_target is not None and s.createtxg <= base_on_target.createtxg]
    return replace(pair, target=replace(pair.target, snapshots=tuple(kept)))


def held_on_target(action: Full | Incremental, diverged: Iterable[Dataset]) -> VolumePair:
    """Return the volume with all its snapshots on the target, those in its diverged replicas included.

    A set that a rollback on the source made stale is there; it is no less proven than before. So is one in a replica
    that ``zsr reseed`` set aside before it could take the new one's set.
    """
    pair = action.pair
    stem = aside_stem(pair.target_path, pair.volume.name)
    clones = [step for step in action.preparations if isinstance(step, CloneFromDiverged)]
    cloned = {step.diverged for step in clones}
    everywhere = {each.name: each for each in (*(step.aside for step in clones if step.aside is not None), *diverged)}
    kept = [
        each
        for each in everywhere.values()
        if each.name in cloned
        or (each.origin is not None and each.origin.startswith(f"{pair.target_name}@"))
        or (_stem(each.name) == stem and choose_base(pair.source, each) is not None)
    ]
    if not kept:
        return pair
    target = pair.target or replace(kept[0], name=pair.target_name, snapshots=())
    snapshots = (*target.snapshots, *(snapshot for each in kept for snapshot in each.snapshots))
    return replace(pair, target=replace(target, snapshots=tuple(sorted(snapshots, key=lambda each: each.createtxg))))


def _stem(name: str) -> str | None:
    named = parse_aside(name)
    return None if named is None else named.stem
