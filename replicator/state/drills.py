"""The drills of guests, in ``state.db``: how the last one on each target ended, and where clones of one may be.

A drill that could not be done says nothing of the replicas, so it replaces no result.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from replicator.display import shortened
from replicator.events import GuestDrilled
from replicator.ids import stored_guest
from replicator.models import DrillResult, GuestId, JobId
from replicator.state.database import Database
from replicator.state.journal import record_event

LONGEST_MESSAGE = 2000
"""Characters of a result's sentences that are kept."""

_ENSURE = (
    "INSERT INTO drills (guest, node, job, since) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET job = excluded.job"
)
_COUNT = {
    DrillResult.PASSED: "UPDATE drills SET passed = passed + 1, last_pass = ? WHERE guest = ? AND node = ?",
    DrillResult.FAILED: "UPDATE drills SET failed = failed + 1 WHERE guest = ? AND node = ?",
    DrillResult.UNDONE: "UPDATE drills SET undone = undone + 1 WHERE guest = ? AND node = ?",
}
_RESULT = (
    "UPDATE drills SET result = ?, message = ?, time = ?, set_time = ?, duration = ?, obstacle = NULL "
    "WHERE guest = ? AND node = ?"
)


@dataclass(frozen=True, slots=True)
class KnownDrill:
    """What is known of a guest's drills on one target; times are unix times.

    Attributes:
        guest, node, job: the guest, the target, and the job that replicates to it.
        since: when it was first scheduled or done.
        schedule, scheduled: its calendar event as the daemon last saw it, and since when that is so; None: without one.
        last_try: when the last one began; 0: there was none.
        result: of the last one that could be done, and its ``message``; None: there was none.
        time, duration, set_time: when that one ended, how many seconds it took, and of what moment its set was.
        last_pass: when the last one ended that passed.
        obstacle: why the last one could not be done; None: it could.
        counts: how many ended so.
        may_be_open: clones may be there.
    """

    guest: GuestId
    node: str
    job: JobId
    since: float
    last_try: float = 0.0
    schedule: str | None = None
    scheduled: float | None = None
    result: DrillResult | None = None
    message: str = ""
    time: float | None = None
    duration: float | None = None
    set_time: int | None = None
    last_pass: float | None = None
    obstacle: str | None = None
    counts: tuple[tuple[DrillResult, int], ...] = ()
    may_be_open: bool = False


@dataclass(frozen=True, slots=True)
class Drills:
    """Records drills."""

    database: Database

    def all(self) -> list[KnownDrill]:
        """Return what is known of all drills, by guest and target."""
        with self.database.decoding():
            return [_known(row) for row in self.database.rows("SELECT * FROM drills ORDER BY guest, node")]

    def get(self, guest: GuestId, node: str) -> KnownDrill | None:
        """Return what is known of a guest's drills on a target."""
        with self.database.decoding():
            rows = self.database.rows("SELECT * FROM drills WHERE guest = ? AND node = ?", guest, node)
            return _known(rows[0]) if rows else None

    def schedule(self, job: JobId, node: str, event: str | None, now: float) -> None:
        """Know the schedule of a guest's drills on the target of a job; one that is new counts from ``now``."""
        with self.database.transaction() as db:
            db.execute(_ENSURE, (job.guest, node, str(job), now))
            db.execute(
                "UPDATE drills SET schedule = ?, scheduled = ? WHERE guest = ? AND node = ? AND schedule IS NOT ?",
                (event, None if event is None else now, job.guest, node, event),
            )

    def opening(self, job: JobId, node: str, now: float) -> None:
        """Record that a drill begins, and that clones may be there from now on; durable when this returns."""
        with self.database.transaction() as db:
            db.execute(_ENSURE, (job.guest, node, str(job), now))
            db.execute("UPDATE drills SET last_try = ?, open = 1 WHERE guest = ? AND node = ?", (now, job.guest, node))

    def closed(self, guest: GuestId, node: str) -> None:
        """Record that no clone is there any more."""
        with self.database.transaction() as db:
            db.execute("UPDATE drills SET open = 0 WHERE guest = ? AND node = ?", (guest, node))

    def record(self, event: GuestDrilled) -> None:
        """Record how a drill ended; the journal gets each one that could be done."""
        key = (event.job.guest, event.node)
        message = shortened(event.message, LONGEST_MESSAGE)
        with self.database.transaction() as db:
            db.execute(_ENSURE, (event.job.guest, event.node, str(event.job), event.time))
            if event.result is DrillResult.UNDONE:
                db.execute("UPDATE drills SET obstacle = ? WHERE guest = ? AND node = ?", (message, *key))
            else:
                row = db.execute("SELECT result FROM drills WHERE guest = ? AND node = ?", key).fetchone()
                db.execute(_RESULT, (event.result, message, event.time, event.set_time, event.duration, *key))
                record_event(db, _after(event, message, row["result"]))
            ended = (event.time,) if event.result is DrillResult.PASSED else ()
            db.execute(_COUNT[event.result], (*ended, *key))

    def forget(self, guest: GuestId, node: str) -> None:
        """Forget the drills of a guest on a node that is no target of it any more; not while clones may be there."""
        with self.database.transaction() as db:
            db.execute("DELETE FROM drills WHERE guest = ? AND node = ? AND open = 0", (guest, node))


def _after(event: GuestDrilled, message: str, before: str | None) -> GuestDrilled:
    ends = event.result is DrillResult.PASSED and before == DrillResult.FAILED
    return GuestDrilled(
        event.time, event.job, event.node, event.result, message, event.set_time, event.duration, recovered=ends
    )


def _known(row: sqlite3.Row) -> KnownDrill:
    return KnownDrill(
        guest=stored_guest(row["guest"]),
        node=row["node"],
        job=JobId.from_text(row["job"]),
        since=row["since"],
        last_try=row["last_try"],
        schedule=row["schedule"],
        scheduled=row["scheduled"],
        result=None if row["result"] is None else DrillResult(row["result"]),
        message=row["message"],
        time=row["time"],
        duration=row["duration"],
        set_time=row["set_time"],
        last_pass=row["last_pass"],
        obstacle=row["obstacle"],
        counts=tuple((result, row[str(result)]) for result in DrillResult),
        may_be_open=bool(row["open"]),
    )
