"""The journal: events by number in ``state.db``, written with the change that they report."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from replicator.api.event_codec import KINDS, from_json, to_json
from replicator.events import Event
from replicator.state.database import Database


@dataclass(frozen=True, slots=True)
class Journal:
    """Reads the journal; events are written by the stores, in the transaction of the change (`record_event`)."""

    database: Database

    def events(self, after: int, limit: int = 500) -> list[tuple[int, Event]]:
        """Return the events with a number above ``after``, oldest first."""
        marks = ", ".join("?" * len(KINDS))  # kinds that only a newer version knows are passed over
        rows = self.database.rows(
            f"SELECT number, kind, body FROM journal WHERE number > ? AND kind IN ({marks}) ORDER BY number LIMIT ?",  # noqa: S608
            after,
            *KINDS,
            limit,
        )
        with self.database.decoding():
            return [(row["number"], from_json(row["kind"], row["body"])) for row in rows]

    def last_event(self) -> int:
        """Return the number of the newest event, 0 if there never was one."""
        rows = self.database.rows("SELECT seq FROM sqlite_sequence WHERE name = 'journal'")
        return int(rows[0]["seq"]) if rows else 0

    def first_event(self) -> int:
        """Return the number of the oldest event that is kept, 0 if there is none."""
        return int(self.database.rows("SELECT coalesce(min(number), 0) FROM journal")[0][0])


def record_event(db: sqlite3.Connection, event: Event) -> None:
    """Append an event, inside the transaction of the change that it reports."""
    db.execute("INSERT INTO journal (time, kind, body) VALUES (?, ?, ?)", (event.time, *to_json(event)))
