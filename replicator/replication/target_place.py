"""The place of a job's target: whether earlier proofs hold for the target that the job has now. Pure.

A target is identified by the GUIDs of its storages' datasets. After the job's target, an address or a path was edited
the claim is unconfirmed until a run has looked: it then stands, or it is dropped. A proof on one target never
lets anything be destroyed on another (contract: Where a set was proven).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum

from replicator.models import Node, Storage, Synced, TargetPlace, TargetStorage
from replicator.replication.discovery import TargetInventory
from replicator.replication.plan import VolumePair
from replicator.replication.provenance import Direction, is_marked
from replicator.replication.snapshot_sets import allowed_claim, newest_whole_set
from replicator.zfs.model import Inventory

_SSH_PORT = 22


class Sight(StrEnum):
    """The target that a run found, compared with the one that is remembered."""

    SAME = "same"
    ANOTHER = "another"
    REPLACED = "replaced"


def address_of(node: Node | None) -> str:
    """Return a node's address as a place keeps it, with the port unless that is SSH's own; empty without a node."""
    if node is None:
        return ""
    return node.address if node.port == _SSH_PORT else f"{node.address}:{node.port}"


def is_edited(place: TargetPlace | None, target: str, address: str, storages: Mapping[str, Storage]) -> bool:
    """Return whether the target, its address or a path of it was edited since the place was recorded.

    A place that was never recorded is not: an older zsr did not, and its claim is confirmed by the next look.
    """
    if place is None:
        return False
    return (place.node, place.address) != (target, address) or any(
        each.storage not in storages or storages[each.storage].path_on(target) != each.path for each in place.storages
    )


def seen_storages(on_target: TargetInventory, storages: Iterable[Storage], target: str) -> dict[str, TargetStorage]:
    """Return the storages that an inventory found on the target, by name."""
    seen = {}
    for storage in storages:
        inventory, path = on_target.inventories.get(storage.name), storage.path_on(target)
        dataset = inventory.get(path) if isinstance(inventory, Inventory) else None
        if dataset is not None:
            seen[storage.name] = TargetStorage(storage.name, path, dataset.guid)
    return seen


def place_of(
    target: str, address: str, volumes: Iterable[VolumePair], seen: Mapping[str, TargetStorage]
) -> TargetPlace:
    """Return the place of these volumes' replicas."""
    names = sorted({pair.volume.storage for pair in volumes} & seen.keys())
    return TargetPlace(target, address, tuple(seen[name] for name in names))


def compare(place: TargetPlace | None, seen: TargetPlace, *, edited: bool) -> Sight:
    """Return whether the place that was seen is the one remembered; one other dataset makes it another target.

    A storage without volumes of the guest does not matter any more. Where none of the remembered storages was seen
    under its name, one of the same GUID under another name will do.
    """
    if place is None or not place.storages:
        return Sight.SAME
    known = {each.storage: each.guid for each in place.storages}
    found = {each.storage: each.guid for each in seen.storages}
    both = known.keys() & found.keys()
    if both:
        is_same = all(known[name] == found[name] for name in both)
    else:
        is_same = not edited or bool(set(known.values()) & set(found.values()))
    if is_same:
        return Sight.SAME
    return Sight.ANOTHER if edited else Sight.REPLACED


def claim_on_other_target(
    remembered: Synced, place: TargetPlace, way: Direction, volumes: Sequence[VolumePair], now: float, sight: Sight
) -> Synced:
    """Return what may be claimed of a target that is not the remembered one: only what ZFS itself shows there.

    Its sets count if all replicas have this job's and this node's marks. A replaced target goes on as one that held a
    copy: that copy is lost.
    """
    known = remembered.sets
    newest = max((*known.taken, *(at for at in (known.proven, known.elsewhere) if at is not None)), default=None)
    was_held = sight is Sight.REPLACED and (remembered.place is None or remembered.place.held)
    sets = replace(known, proven=None, volumes=(), elsewhere=newest)
    fresh = Synced(sets=sets, place=replace(place, held=was_held))
    ours = all(pair.target is not None and is_marked(way, pair.target) for pair in volumes)
    held = newest_whole_set(way.job, volumes, fresh.sets, now) if ours else None
    return at_place(allowed_claim(fresh, held), place)


def at_place(synced: Synced, place: TargetPlace | None) -> Synced:
    """Return the state with the place where it was proven; a state without a copy keeps the place that it has."""
    if place is None or synced.last_sync is None:
        return synced
    return replace(synced, place=replace(place, held=True))


def described(sight: Sight, before: TargetPlace | None, place: TargetPlace) -> str:
    """Return the sentence of a run's log about another target."""
    if sight is Sight.ANOTHER:
        was = "" if before is None else f" (it was {_words(before)})"
        return f"the job's target is {_words(place)} now{was}: proofs on the old one count no more"
    known = {each.storage: each.guid for each in before.storages} if before is not None else {}
    other = [each for each in place.storages if known.get(each.storage, each.guid) != each.guid]
    paths = ", ".join(f"'{each.path}'" for each in other)
    return f"{paths} on {place.node} is not the dataset in which the last set was proven: its pool was replaced"


def _words(place: TargetPlace) -> str:
    paths = ", ".join(dict.fromkeys(each.path for each in place.storages))
    return f"{paths or 'no storage'} on {place.node} ({place.address})"
