"""The marks ``zsr:job`` and ``zsr:source``, and which of them count (contract: Destruction). Pure.

A mark counts only where it was set on that very dataset or snapshot: ZFS shows its source as ``local``. One that came
with a stream (received) or from a parent (inherited) is borrowed. Every copy of a replica has it, and everything below
a marked dataset, so it does not say who made what has it, and permits nothing. A borrowed mark still protects: what
bears one may hold restore points, or may have been created on a replica.

``zfs list`` does not show the source of a property. So each marked dataset is asked for once with ``zfs get -s local``,
and remembered by its GUID; a channel program sees the source itself.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from replicator.zfs.model import Dataset, Inventory

Marks = tuple[str | None, str | None]
"""The values of ``zsr:job`` and ``zsr:source``; None where there is none."""

_NONE: Marks = (None, None)

Known = tuple[int, str | None, str | None]
"""A dataset's GUID with marks that are known to be its own. They stay its own when it is renamed."""


def doubtful(found: Inventory, known: Collection[Known]) -> list[str]:
    """Return the names of what was listed with marks that are not ``known`` to be its own.

    A snapshot with a mark is among them each time, since snapshots come and go.
    """
    names = []
    for dataset in found.datasets.values():
        if _is_marked(dataset) and _known(dataset) not in known:
            names.append(dataset.name)
        names += [f"{dataset.name}@{each.name}" for each in dataset.snapshots if each.source is not None]
    return names


def settled(found: Inventory, asked: Iterable[str], own: Mapping[str, Marks]) -> Inventory:
    """Return an inventory in which only own marks count; ``own`` are those of what was ``asked``."""
    names = set(asked)
    changed = {path: _settled(found.datasets[path], names, own) for path in {name.partition("@")[0] for name in names}}
    return Inventory({name: changed.get(name, dataset) for name, dataset in found.datasets.items()})


def _settled(dataset: Dataset, asked: Collection[str], own: Mapping[str, Marks]) -> Dataset:
    snapshots = tuple(
        replace(each, source=own.get(name, _NONE)[1]) if (name := f"{dataset.name}@{each.name}") in asked else each
        for each in dataset.snapshots
    )
    if dataset.name not in asked:
        return replace(dataset, snapshots=snapshots)
    job, source = own.get(dataset.name, _NONE)
    borrowed = (job, source) != (dataset.job, dataset.source)
    return replace(dataset, snapshots=snapshots, job=job, source=source, borrowed_marks=borrowed)


def known_marks(found: Inventory) -> set[Known]:
    """Return the marked datasets of an inventory whose marks are all their own."""
    return {_known(each) for each in found.datasets.values() if _is_marked(each) and not each.borrowed_marks}


def _is_marked(dataset: Dataset) -> bool:
    return dataset.job is not None or dataset.source is not None


def _known(dataset: Dataset) -> Known:
    return dataset.guid, dataset.job, dataset.source
