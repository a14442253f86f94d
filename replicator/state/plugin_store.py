"""Per-plugin key-value store in ``state.db``; one or many keys are written at a time, each time all or nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

from replicator.state.database import Database


@dataclass(frozen=True, slots=True)
class SqlitePluginStore:
    """The values of one plugin (`replicator.api.plugin.PluginStore`)."""

    database: Database
    plugin: str

    def get(self, key: str) -> str | None:
        """Return the value of a key, or None."""
        rows = self.database.rows("SELECT value FROM memory WHERE plugin = ? AND key = ?", self.plugin, key)
        return str(rows[0]["value"]) if rows else None

    def items(self, prefix: str) -> dict[str, str]:
        """Return the values whose keys begin with a text, in the order of the keys."""
        end = prefix + "\U0010ffff"
        query = "SELECT key, value FROM memory WHERE plugin = ? AND key >= ? AND key < ? ORDER BY key"
        return {str(row["key"]): str(row["value"]) for row in self.database.rows(query, self.plugin, prefix, end)}

    def put(self, key: str, value: str | None) -> None:
        """Write a value (None: delete the key); durable when this returns."""
        self.put_all({key: value})

    def put_all(self, notes: Mapping[str, str | None]) -> None:
        """Write many values (None: delete the key), all of them or none; durable when this returns."""
        with self.database.transaction() as db:
            write_notes(db, self.plugin, notes)


def write_notes(db: sqlite3.Connection, plugin: str, notes: Mapping[str, str | None]) -> None:
    """Write values of a plugin (None: delete the key) as a part of a transaction."""
    written = [(plugin, key, value) for key, value in notes.items() if value is not None]
    deleted = [(plugin, key) for key, value in notes.items() if value is None]
    db.executemany("DELETE FROM memory WHERE plugin = ? AND key = ?", deleted)
    db.executemany("INSERT OR REPLACE INTO memory VALUES (?, ?, ?)", written)
