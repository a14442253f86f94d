"""All that ZFS lists on the node, and to which of the played nodes it belongs. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

FIELDS = (
    "name",
    "type",
    "guid",
    "createtxg",
    "written",
    "readonly",
    "mounted",
    "origin",
    "receive_resume_token",
    "zsr:job",
    "zsr:source",
    "encryptionroot",
    "keystatus",
)
PLACES = {"gamma/delta": "delta", "gamma/omega": "omega"}
"""Parts of a pool that play a node of their own; every other dataset belongs to the node with its pool's name."""

ASIDE = "/zsr-diverged/"


def place_of(name: str) -> str:
    """The node on which something lies."""
    for path, node in PLACES.items():
        if name == path or name.startswith(f"{path}/"):
            return node
    return name.partition("/")[0].partition("@")[0]


@dataclass(frozen=True, slots=True)
class Entry:
    """A dataset, snapshot or bookmark."""

    name: str
    kind: str
    guid: str
    txg: int
    written: int = 0
    readonly: bool = False
    mounted: bool = False
    origin: str = "-"
    token: str = "-"
    job: str = "-"
    source: str = "-"
    root: str = "-"
    key: str = "-"

    @classmethod
    def read(cls, line: str) -> Entry:
        """A line of ``zfs list`` with `FIELDS`."""
        name, kind, guid, txg, written, readonly, mounted, *rest = line.split("\t")
        size = int(written) if written.isdecimal() else 0
        return cls(name, kind, guid, int(txg), size, readonly == "on", mounted == "yes", *rest)

    @property
    def dataset(self) -> str:
        """The dataset that it is, or is of."""
        return self.name.partition("@")[0].partition("#")[0]

    @property
    def short(self) -> str:
        """The name of a snapshot or bookmark within its dataset; empty for a dataset."""
        return self.name[len(self.dataset) + 1 :]

    @property
    def is_dataset(self) -> bool:
        return self.kind in ("filesystem", "volume")

    @property
    def place(self) -> str:
        """The node on which it lies."""
        return place_of(self.name)

    @property
    def identity(self) -> tuple[str, str, str]:
        """What it is, whatever its name: node, kind and GUID. A bookmark has the GUID of its snapshot."""
        return self.place, self.kind if self.kind == "bookmark" else "", self.guid


@dataclass(frozen=True)
class World:
    """What lies on all nodes at one moment."""

    entries: tuple[Entry, ...] = ()
    names: dict[str, Entry] = field(default_factory=dict)

    @classmethod
    def of(cls, entries: Iterable[Entry]) -> World:
        found = tuple(entries)
        return cls(found, {entry.name: entry for entry in found})

    @classmethod
    def read(cls, text: str) -> World:
        """What ``zfs list`` wrote."""
        return cls.of(Entry.read(line) for line in text.splitlines())

    @cached_property
    def identities(self) -> dict[tuple[str, str, str], Entry]:
        """Everything by what it is."""
        return {entry.identity: entry for entry in self.entries}

    @cached_property
    def parts(self) -> dict[str, list[Entry]]:
        """The snapshots and bookmarks of each dataset, oldest first."""
        found: dict[str, list[Entry]] = {}
        for entry in sorted(self.entries, key=lambda each: each.txg):
            if not entry.is_dataset:
                found.setdefault(entry.dataset, []).append(entry)
        return found

    def snapshots(self, dataset: str) -> list[Entry]:
        """The snapshots of a dataset, oldest first."""
        return [entry for entry in self.parts.get(dataset, []) if entry.kind == "snapshot"]

    def datasets(self, path: str = "") -> list[Entry]:
        """The datasets below a path, or all."""
        return [e for e in self.entries if e.is_dataset and (not path or e.name.startswith(f"{path}/"))]

    def has(self, place: str, guid: str) -> bool:
        """Whether a dataset or snapshot with this GUID lies on a node."""
        return (place, "", guid) in self.identities

    def common(self, source: str, replica: str) -> list[Entry]:
        """The snapshots of a replica that the source has too, or has a bookmark of."""
        known = {entry.guid for entry in self.parts.get(source, [])}
        return [entry for entry in self.snapshots(replica) if entry.guid in known]
