"""A node whose datasets can be listed as ``zfs list -d`` does it, and that counts commands and rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace

from replicator.errors import StorageMissingError
from replicator.zfs.model import Dataset, Inventory


@dataclass
class ListedNode:
    """Shows some datasets; ``rows`` and ``commands`` count what was asked for."""

    shown: dict[str, Dataset]
    node: str = "beta"
    rows: int = 0
    commands: int = 0

    @classmethod
    def of(cls, datasets: Iterable[Dataset]) -> ListedNode:
        """A node with some datasets."""
        return cls({each.name: each for each in datasets})

    async def features(self) -> SimpleNamespace:
        """A ZFS of today."""
        return SimpleNamespace(list_parsable=True, programs=True)

    async def inventory(
        self, path: str, *, depth: int = 2, snapshots: bool = True, also: Sequence[str] = ()
    ) -> Inventory:
        """The rows of ``zfs list -d``: a snapshot is one level below its dataset."""
        self.commands += 1
        if path not in self.shown:
            raise StorageMissingError(f"'{path}' does not exist.")
        found: dict[str, Dataset] = {}
        for root in (path, *also):
            for name, each in self.shown.items():
                level = name.count("/") - root.count("/")
                if name == root or (name.startswith(f"{root}/") and level <= depth):
                    bare = replace(each, snapshots=())
                    found[name] = each if snapshots and level < depth else found.get(name, bare)
        self.rows += sum(1 + len(each.snapshots) for each in found.values())
        return Inventory(found)
