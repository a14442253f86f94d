"""What the hooks of guests did, in ``state.db``: who may be frozen and since when, how often a hook failed, and how
the last freezes ended.

A guest is recorded before its freeze hook starts. The database syncs each transaction to the disk, so the record
survives a kill and a power cut, and the next start thaws the guest.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

from replicator.events import GuestFrozen, GuestThawed
from replicator.ids import stored_guest
from replicator.models import Guest, GuestId, Hook, JobId
from replicator.state.database import Database
from replicator.state.journal import record_event

HookFailures = Mapping[GuestId, Mapping[Hook, int]]
"""How often hooks failed, by guest; a hook that never failed is missing."""

FREEZES_KEPT = 5
"""How many freezes of a guest count: enough to distinguish a broken hook from one that failed by chance."""
FREEZES_LAST = 30 * 86400.0
"""Seconds that a freeze counts: a weekly job has four in them, and a guest that was switched off ends with them."""

_FREEZE = """
INSERT INTO frozen_guests (guest, since, thaw, time_limit, job, run, reported) VALUES (?, ?, ?, ?, ?, ?, 0)
ON CONFLICT (guest) DO UPDATE SET thaw = excluded.thaw, time_limit = excluded.time_limit
"""
_COUNT = "INSERT INTO hook_failures VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET count = count + 1"
_DROP_FREEZES = """
DELETE FROM freezes WHERE guest = ? AND number NOT IN (
    SELECT number FROM freezes WHERE guest = ? ORDER BY number DESC LIMIT ?)
"""


@dataclass(frozen=True, slots=True)
class FrozenGuest:
    """A guest that may be frozen.

    Attributes:
        since: unix time right before the freeze hook started.
        thaw: the command that thaws it.
        time_limit: seconds that the command may take.
        job, run: whose snapshot it was frozen for.
        reported: whether a thaw failed, so that the journal has a `GuestFrozen`.
    """

    guest: GuestId
    since: float
    thaw: str
    time_limit: float
    job: JobId
    run: int
    reported: bool


@dataclass(frozen=True, slots=True)
class GuestHooks:
    """Records which guests may be frozen, counts the failures of hooks, and keeps the last freezes."""

    database: Database

    def frozen(self) -> list[FrozenGuest]:
        """Return the guests that may be frozen."""
        with self.database.decoding():
            return [_frozen_guest(row) for row in self.database.rows("SELECT * FROM frozen_guests ORDER BY guest")]

    def get(self, guest: GuestId) -> FrozenGuest | None:
        """Return the record of one guest, or None if it is not frozen."""
        with self.database.decoding():
            rows = self.database.rows("SELECT * FROM frozen_guests WHERE guest = ?", guest)
            return _frozen_guest(rows[0]) if rows else None

    def failures(self) -> HookFailures:
        """Return how often the hooks of each guest failed."""
        found: dict[GuestId, dict[Hook, int]] = {}
        with self.database.decoding():
            for row in self.database.rows("SELECT guest, hook, count FROM hook_failures"):
                found.setdefault(stored_guest(row["guest"]), {})[Hook(row["hook"])] = row["count"]
        return found

    def failed_freezes(self, now: float) -> Mapping[GuestId, int]:
        """Return how many of each guest's last `FREEZES_KEPT` freezes failed in the last `FREEZES_LAST` seconds."""
        query = "SELECT guest, sum(failed) AS failed FROM freezes WHERE time > ? GROUP BY guest"
        return {stored_guest(row["guest"]): row["failed"] for row in self.database.rows(query, now - FREEZES_LAST)}

    def record_freeze(self, guest: Guest, thaw: str, *, job: JobId, run: int, now: float) -> bool:
        """Record that a guest may be frozen from now on; durable when this returns.

        Returns whether it may have been frozen before; it then keeps its earlier time and job.
        """
        with self.database.transaction() as db:
            known = db.execute("SELECT 1 FROM frozen_guests WHERE guest = ?", (guest.id,)).fetchone() is not None
            db.execute(_FREEZE, (guest.id, now, thaw, guest.hook_timeout, str(job), run))
        return known

    def record_thaw(self, guest: GuestId, now: float) -> None:
        """Record that a guest is not frozen any more; a freeze that was reported gets its end in the journal."""
        with self.database.transaction() as db:
            row = db.execute("DELETE FROM frozen_guests WHERE guest = ? RETURNING *", (guest,)).fetchone()
            if row is not None and row["reported"]:
                record_event(db, GuestThawed(now, JobId.from_text(row["job"]), row["run"], row["since"]))

    def count_failure(self, guest: GuestId, hook: Hook, now: float) -> None:
        """Count a hook that failed."""
        with self.database.transaction() as db:
            db.execute(_COUNT, (guest, hook))
            if hook is Hook.FREEZE:
                _record_end(db, guest, failed=True, now=now)

    def record_froze(self, guest: GuestId, now: float) -> None:
        """Record a freeze hook that succeeded."""
        with self.database.transaction() as db:
            _record_end(db, guest, failed=False, now=now)

    def record_failed_thaw(self, guest: GuestId, message: str, now: float) -> None:
        """Count a thaw hook that failed while the guest may be frozen; the journal gets the first failure."""
        with self.database.transaction() as db:
            db.execute(_COUNT, (guest, Hook.THAW))
            row = db.execute("SELECT * FROM frozen_guests WHERE guest = ?", (guest,)).fetchone()
            if row is None or row["reported"]:
                return
            db.execute("UPDATE frozen_guests SET reported = 1 WHERE guest = ?", (guest,))
            job = JobId.from_text(row["job"])
            record_event(db, GuestFrozen(now, job, row["run"], row["since"], message, row["thaw"]))


def _record_end(db: sqlite3.Connection, guest: GuestId, *, failed: bool, now: float) -> None:
    """Record how a freeze hook ended; the order of the records counts, so that a clock that is set changes nothing."""
    db.execute("INSERT INTO freezes (guest, time, failed) VALUES (?, ?, ?)", (guest, now, failed))
    db.execute(_DROP_FREEZES, (guest, guest, FREEZES_KEPT))


def _frozen_guest(row: sqlite3.Row) -> FrozenGuest:
    return FrozenGuest(
        guest=stored_guest(row["guest"]),
        since=row["since"],
        thaw=row["thaw"],
        time_limit=row["time_limit"],
        job=JobId.from_text(row["job"]),
        run=row["run"],
        reported=bool(row["reported"]),
    )
