"""Volumes of one guest below those of another: whose they are, by the settings of all guests. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from replicator.models import Guest, GuestId, Storage, Volume
from replicator.zfs.dataset_names import volume_prefixes

_Mention = tuple[str, Volume, GuestId]
"""A dataset, the volume as which a guest's settings mention it, and that guest."""


def with_others(guests: Mapping[GuestId, Guest], storages: Mapping[str, Storage]) -> dict[GuestId, Guest]:
    """Return guests with the volumes (``Guest.others``) that the others mention and that lie below theirs.

    Guests of all nodes count: the dataset may be the replica of one that is elsewhere now.
    """
    nested = [
        (volume, guest.id)
        for guest in guests.values()
        for volume in (*guest.volumes, *guest.excluded)
        if "/" in volume.name and volume.storage in storages
    ]
    if not nested:
        return dict(guests)
    by_node: defaultdict[str, list[_Mention]] = defaultdict(list)
    for node in {guest.node for guest in guests.values()}:
        by_node[node] = sorted((v.dataset(storages[v.storage], node), v, guest) for v, guest in nested)
    return {
        number: replace(guest, others=frozenset(_others(guest, storages, by_node[guest.node])))
        for number, guest in guests.items()
    }


def _others(guest: Guest, storages: Mapping[str, Storage], mentions: Sequence[_Mention]) -> Iterator[Volume]:
    own = {*guest.volumes, *guest.excluded}
    for begin in _beginnings(guest, storages):
        for at in range(bisect_left(mentions, begin, key=lambda each: each[0]), len(mentions)):
            name, volume, other = mentions[at]
            if not name.startswith(begin):
                break
            if other != guest.id and volume not in own:
                yield volume


def _beginnings(guest: Guest, storages: Mapping[str, Storage]) -> Iterator[str]:
    """Yield the beginnings of the names of what may lie below a guest's volumes."""
    for volume in (*guest.volumes, *guest.excluded):
        if volume.storage in storages:
            yield f"{volume.dataset(storages[volume.storage], guest.node)}/"
    if not guest.volumes:
        for storage in storages.values():
            yield from volume_prefixes(guest.id, storage.path_on(guest.node))
