"""What ``zfs`` prints, read into facts. Pure; each function raises ZfsError on output it does not know."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping

from replicator.errors import ZfsError
from replicator.zfs.commands import LISTED
from replicator.zfs.facts import Dataset, Inventory, ResumeToken, Snapshot

_UNSET = ("-", "none", "")


def _number(text: str) -> int | None:
    return int(text) if text.isdigit() else None


def _required(name: str, key: str, text: str | None) -> int:
    if text is None or not text.isdigit():
        raise ZfsError(f"zfs told no number for {key} of {name}: {text!r}.")
    return int(text)


def inventory_from_list(text: str) -> Inventory:
    """Read ``zfs list -Hp`` with the columns of `commands.LISTED`."""
    rows: list[tuple[str, Mapping[str, str]]] = []
    for line in text.splitlines():
        fields = line.split("\t")
        if len(fields) != len(LISTED):
            raise ZfsError(
                f"zfs list printed a line with {len(fields)} columns where {len(LISTED)} were asked: {line!r}."
            )
        rows.append((fields[0], dict(zip(LISTED, fields, strict=True))))
    return _inventory(rows)


def inventory_from_get(text: str) -> Inventory:
    """Read ``zfs get -Hp -o name,property,value``, the form that a ZFS of 2010 can print."""
    rows: dict[str, dict[str, str]] = {}
    for line in text.splitlines():
        fields = line.split("\t")
        if len(fields) != 3:
            raise ZfsError(f"zfs get printed a line with {len(fields)} columns where 3 were asked: {line!r}.")
        rows.setdefault(fields[0], {})[fields[1]] = fields[2]
    return _inventory(rows.items())


def _inventory(rows: Iterable[tuple[str, Mapping[str, str]]]) -> Inventory:
    snapshots: dict[str, list[Snapshot]] = defaultdict(list)
    datasets: dict[str, Mapping[str, str]] = {}
    for name, values in rows:
        if "@" in name:
            dataset, _, short = name.partition("@")
            snapshots[dataset].append(_snapshot(name, short, values))
        else:
            datasets[name] = values
    return Inventory(
        {
            name: Dataset(
                name=name,
                is_volume=values.get("type") == "volume",
                guid=_required(name, "guid", values.get("guid")),
                snapshots=tuple(sorted(snapshots[name], key=lambda snapshot: snapshot.createtxg)),
                written=_number(values.get("written", "")),
                token=_set(values.get("receive_resume_token")),
                job=_set(values.get("zsr:job")),
                source=_set(values.get("zsr:source")),
                encrypted=values.get("encryption", "off") not in ("off", *_UNSET),
            )
            for name, values in datasets.items()
        }
    )


def _snapshot(name: str, short: str, values: Mapping[str, str]) -> Snapshot:
    return Snapshot(
        name=short,
        guid=_required(name, "guid", values.get("guid")),
        createtxg=_required(name, "createtxg", values.get("createtxg")),
        creation=_required(name, "creation", values.get("creation")),
        written=_number(values.get("written", "")),
    )


def _set(value: str | None) -> str | None:
    return None if value is None or value in _UNSET else value


def estimated_size(text: str) -> int | None:
    """The total of ``zfs send -nvP``: its last ``size`` line, in bytes; None if there is none."""
    sizes: list[str] = re.findall(r"^size\s+(\d+)\s*$", text, re.MULTILINE)
    return int(sizes[-1]) if sizes else None


def resume_token(token: str, text: str) -> ResumeToken | None:
    """What ``zfs send -nvP -t TOKEN`` tells of a token; None if it is not readable."""
    to_name = re.search(r"^\s*toname = (\S.*)$", text, re.MULTILINE)
    to_guid = re.search(r"^\s*toguid = (0x[0-9a-f]+|\d+)\s*$", text, re.MULTILINE)
    if to_name is None or to_guid is None:
        return None
    return ResumeToken(token, to_name[1].strip(), int(to_guid[1], 0), estimated_size(text))
