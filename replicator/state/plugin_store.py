"""A plugin's own drawer in ``state.db``: notes by key, written one or many at a time, each time all or nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from replicator.state.stores import State


@dataclass(frozen=True, slots=True)
class SqlitePluginStore:
    """The notes of one plugin (`replicator.api.plugin.PluginStore`)."""

    state: State
    plugin: str

    def get(self, key: str) -> str | None:
        """The value of a key, or None."""
        rows = self.state.rows("SELECT value FROM memory WHERE plugin = ? AND key = ?", self.plugin, key)
        return str(rows[0]["value"]) if rows else None

    def items(self, prefix: str) -> dict[str, str]:
        """The notes whose keys begin with a text, in the order of the keys."""
        end = prefix + "\U0010ffff"
        query = "SELECT key, value FROM memory WHERE plugin = ? AND key >= ? AND key < ? ORDER BY key"
        return {str(row["key"]): str(row["value"]) for row in self.state.rows(query, self.plugin, prefix, end)}

    def put(self, key: str, value: str | None) -> None:
        """Write a value (None: forget the key); durable when this returns."""
        self.put_all({key: value})

    def put_all(self, notes: Mapping[str, str | None]) -> None:
        """Write many notes (None: forget the key), all of them or none; durable when this returns."""
        written = [(self.plugin, key, value) for key, value in notes.items() if value is not None]
        forgotten = [(self.plugin, key) for key, value in notes.items() if value is None]
        with self.state.transaction() as db:
            db.executemany("DELETE FROM memory WHERE plugin = ? AND key = ?", forgotten)
            db.executemany("INSERT OR REPLACE INTO memory VALUES (?, ?, ?)", written)
