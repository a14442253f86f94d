"""Parse the output of ``zfs`` into the model. Pure; each function raises ZfsError on unexpected output."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace

from replicator.errors import ZfsError
from replicator.zfs.commands import LISTED
from replicator.zfs.fence import EPOCH, OWNER, Stamped
from replicator.zfs.marks import Marks
from replicator.zfs.model import MADE_HERE, Bookmark, Dataset, Inventory, Snapshot

_UNSET = ("-", "none", "")


def _number(text: str) -> int | None:
    return int(text) if text.isdigit() else None


def _required(name: str, key: str, text: str | None) -> int:
    if text is None or not text.isdigit():
        raise ZfsError(f"zfs printed no number for {key} of {name}: {text!r}.")
    return int(text)


def inventory_from_list(text: str, *, marks_of: str | None = None) -> Inventory:
    """Read ``zfs list -Hp`` with the columns of `commands.LISTED`."""
    rows: list[tuple[str, Mapping[str, str]]] = []
    for line in text.splitlines():
        fields = line.split("\t")
        if len(fields) != len(LISTED):
            raise ZfsError(
                f"zfs list printed a line with {len(fields)} columns where {len(LISTED)} were expected: {line!r}."
            )
        rows.append((fields[0], dict(zip(LISTED, fields, strict=True))))
    return inventory_of(rows, marks_of=marks_of)


def inventory_from_get(text: str, *, marks_of: str | None = None) -> Inventory:
    """Read ``zfs get -Hp -o name,property,value``, the form that a ZFS of 2010 can print."""
    rows: dict[str, dict[str, str]] = {}
    for line in text.splitlines():
        fields = line.split("\t")
        if len(fields) != 3:
            raise ZfsError(f"zfs get printed a line with {len(fields)} columns where 3 were expected: {line!r}.")
        rows.setdefault(fields[0], {})[fields[1]] = fields[2]
    return inventory_of(rows.items(), marks_of=marks_of)


def space(text: str) -> dict[str, tuple[int, int]]:
    """Read ``zfs get`` of used and available: both in bytes, by pool; a pool of which one is missing is left out."""
    rows = {
        name: {key: int(value) for key, value in values.items() if value.isdigit()}
        for name, values in values_by_name(text).items()
    }
    return {name: (row["used"], row["available"]) for name, row in rows.items() if row.keys() >= {"used", "available"}}


def local_marks(text: str) -> dict[str, Marks]:
    """Read ``zfs get -H -s local -o name,property,value`` of the two marks."""
    found = values_by_name(text)
    return {name: (_set(values.get("zsr:job")), _set(values.get("zsr:source"))) for name, values in found.items()}


def inventory_of(rows: Iterable[tuple[str, Mapping[str, str]]], *, marks_of: str | None = None) -> Inventory:
    """Put rows (a name with its properties) of datasets, snapshots and bookmarks together.

    The ``zsr:source`` of snapshots whose names begin with ``marks_of`` is read too, except on marked datasets, whose
    snapshots inherit it.
    """
    snapshots: dict[str, list[Snapshot]] = defaultdict(list)
    bookmarks: dict[str, list[Bookmark]] = defaultdict(list)
    datasets: dict[str, Mapping[str, str]] = {}
    for name, values in rows:
        if "@" in name:
            snapshots[name.partition("@")[0]].append(_snapshot(name, values, marks_of))
        elif "#" in name:
            dataset, _, short = name.partition("#")
            bookmarks[dataset].append(Bookmark(short, *_identity(name, values)))
        else:
            datasets[name] = values
    return Inventory(
        {name: _dataset(name, values, snapshots[name], bookmarks[name]) for name, values in datasets.items()}
    )


def _dataset(
    name: str, values: Mapping[str, str], snapshots: Iterable[Snapshot], bookmarks: Iterable[Bookmark]
) -> Dataset:
    return Dataset(
        name=name,
        is_volume=values.get("type") == "volume",
        guid=_required(name, "guid", values.get("guid")),
        snapshots=_in_order(snapshots, values),
        bookmarks=tuple(sorted(bookmarks, key=lambda bookmark: bookmark.createtxg)),
        written=_number(values.get("written", "")),
        token=_set(values.get("receive_resume_token")),
        job=_set(values.get("zsr:job")),
        source=_set(values.get("zsr:source")),
        encrypted=values.get("encryption", "off") not in ("off", *_UNSET),
        encryption_root=_set(values.get("encryptionroot")),
        readonly=_switch(values.get("readonly"), "on", "off"),
        mounted=_switch(values.get("mounted"), "yes", "no"),
        creation=_number(values.get("creation", "")) or 0,
        origin=_set(values.get("origin")),
        used=_number(values.get("used", "")),
        key_loaded=_switch(values.get("keystatus"), "available", "unavailable"),
        salt=_number(values.get("pbkdf2salt", "")),
        owner=_set(values.get(OWNER)),
        epoch=_set(values.get(EPOCH)),
        stream=_set(values.get("zsr:stream")),
        borrowed_marks=values.get("borrowed") == "yes",
    )


def _snapshot(name: str, values: Mapping[str, str], marks_of: str | None) -> Snapshot:
    short = name.partition("@")[2]
    written, made_here = _number(values.get("written", "")), values.get("zsr:job") == MADE_HERE
    source = _set(values.get("zsr:source")) if marks_of is not None and short.startswith(marks_of) else None
    return Snapshot(short, *_identity(name, values), written, made_here, source)


def _in_order(snapshots: Iterable[Snapshot], values: Mapping[str, str]) -> tuple[Snapshot, ...]:
    marked = _set(values.get("zsr:job")) or _set(values.get("zsr:source"))
    some = (replace(each, source=None) if marked and each.source else each for each in snapshots)
    return tuple(sorted(some, key=lambda snapshot: snapshot.createtxg))


def _identity(name: str, values: Mapping[str, str]) -> tuple[int, int, int]:
    guid, createtxg, creation = (_required(name, key, values.get(key)) for key in ("guid", "createtxg", "creation"))
    return guid, createtxg, creation


def _switch(value: str | None, yes: str, no: str) -> bool | None:
    return {yes: True, no: False}.get(value or "")


def _set(value: str | None) -> str | None:
    return None if value is None or value in _UNSET else value


def salts(text: str) -> dict[str, int]:
    """Read ``zfs get`` of the salts of keys, by dataset."""
    found = ((name, values.get("pbkdf2salt", "")) for name, values in values_by_name(text).items())
    return {name: int(salt) for name, salt in found if salt.isdigit()}


def has_values(text: str) -> bool:
    """Return whether ``zfs get`` of one property printed a value of anything."""
    return any(value not in ("", "-") for values in values_by_name(text).values() for value in values.values())


def block_sizes(text: str) -> dict[str, int]:
    """Read ``zfs get`` of the block sizes of datasets, of which each has one."""
    found = values_by_name(text)
    return {name: int(size) for name, values in found.items() for size in values.values() if size.isdigit()}


def estimated_size(text: str) -> int | None:
    """Return the total of ``zfs send -nvP``: its last ``size`` line, in bytes; None if there is none."""
    sizes: list[str] = re.findall(r"^size\s+(\d+)\s*$", text, re.MULTILINE)
    return int(sizes[-1]) if sizes else None


def sourced_properties(text: str) -> dict[str, tuple[str, str]]:
    """Read ``zfs get -Hp -o property,value,source``: value and source by property."""
    rows = (line.split("\t") for line in text.splitlines())
    return {row[0]: (row[1], row[2]) for row in rows if len(row) == 3}


def own_and_received(text: str) -> tuple[dict[str, str], dict[str, str]]:
    """Read ``zfs get -Hp -o property,value,received,source``: the local properties, and those that were received."""
    rows = [row for line in text.splitlines() if len(row := line.split("\t")) == 4]
    own = {key: value for key, value, _, source in rows if source == "local"}
    return own, {key: received for key, _, received, _ in rows if received != "-"}


def own_stamps(dataset: str, properties: Mapping[str, tuple[str, str]]) -> Stamped:
    """Return the stamps that a dataset has itself, of its `sourced_properties`."""
    own = {key: value for key, (value, source) in properties.items() if source == "local"}
    return Stamped(dataset, own.get(OWNER), own.get(EPOCH))


def local_stamps(text: str) -> list[Stamped]:
    """Read ``zfs get -Hp -s local -o name,property,value`` of owner and epoch."""
    found = values_by_name(text)
    return [Stamped(name, values.get(OWNER), values.get(EPOCH)) for name, values in found.items()]


def values_by_name(text: str) -> dict[str, dict[str, str]]:
    """Read ``zfs get -o name,property,value``: the values of each dataset or snapshot; other lines are left out."""
    found: dict[str, dict[str, str]] = {}
    for line in text.splitlines():
        fields = line.split("\t", 2)
        if len(fields) == 3:
            found.setdefault(fields[0], {})[fields[1]] = fields[2]
    return found


def properties(text: str) -> dict[str, str]:
    """Read ``zfs get -Hp -o property,value``."""
    return dict(line.split("\t", 1) for line in text.splitlines() if "\t" in line)
