"""The replicas of vanished volumes in ``state.db``: since when each waits, and the events of its grace."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import inf

from replicator.events import GraceEnded, GraceEnding, VolumesVanished
from replicator.models import JobId, Vanished
from replicator.state.database import Database
from replicator.state.journal import record_event

_CLOCK_SECONDS = 86400.0
"""Seconds by which what counts of a wait may be more than the clock says."""

_INSERT = "INSERT INTO vanished_replicas VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"


@dataclass(frozen=True, slots=True)
class VanishedReplicas:
    """Writes the records of vanished replicas; `JobState.vanished` has them."""

    database: Database

    def set(
        self,
        job: JobId,
        records: Sequence[Vanished],
        *,
        ends: Mapping[str, float],
        back: Collection[str] = (),
        run: int,
        now: float,
    ) -> None:
        """Set the records of a job; what is new in them goes to the journal.

        Nothing is written if they are the same as before, or if the job was forgotten.

        Args:
            job: the job.
            records: all of them.
            ends: when their graces end (unix time), by dataset; without those that have no end.
            back: the job's replicas that have a volume. One that is neither here nor there, and whose destruction was
                begun, was destroyed by a run that could not record it.
            run: the run that writes.
            now: unix time.
        """
        with self.database.transaction() as db:
            if db.execute("SELECT 1 FROM job_state WHERE job = ?", (str(job),)).fetchone() is None:
                return
            before, after = _read(db, job), {each.dataset: each for each in records}
            if before == after:
                return
            _write(db, job, after.values())
            if new := tuple(name for name in sorted(after) if _is_new(before.get(name), after[name])):
                record_event(db, VolumesVanished(now, job, run, new, min(map(ends.get, new), key=_or_never)))
            announced = [name for name in sorted(after) if _is_announced(before.get(name), after[name])]
            for end in sorted({ends[name] for name in announced}):
                names = tuple(name for name in announced if ends[name] == end)
                record_event(db, GraceEnding(now, job, run, names, end))
            gone = (each.dataset for each in before.values() if each.ending and each.dataset not in {*after, *back})
            if ended := tuple(sorted(gone)):
                record_event(db, GraceEnded(now, job, run, ended))

    def end(self, job: JobId, destroyed: Collection[str], records: Sequence[Vanished], *, run: int, now: float) -> None:
        """Set the records after a run that destroyed replicas whose grace was over; those go to the journal."""
        with self.database.transaction() as db:
            before = _read(db, job)
            if not before:  # the job was forgotten
                return
            _write(db, job, records)
            if ended := tuple(sorted(set(destroyed) & before.keys())):
                record_event(db, GraceEnded(now, job, run, ended))

    def continued(self, job: JobId, guid: int) -> None:
        """Delete the record of a replica that another job continues; nothing is reported."""
        with self.database.transaction() as db:
            db.execute("DELETE FROM vanished_replicas WHERE job = ? AND guid = ?", (str(job), str(guid)))


def _is_new(before: Vanished | None, after: Vanished) -> bool:
    """Return whether a replica was not known; an older zsr recorded names only."""
    return before is None or before.guid not in (0, after.guid)


def _is_announced(before: Vanished | None, after: Vanished) -> bool:
    """Return whether the end of a grace is announced with this record."""
    return after.announced is not None and (before is None or before.announced != after.announced)


def _or_never(end: float | None) -> float:
    return inf if end is None else end


def _read(db: sqlite3.Connection, job: JobId) -> dict[str, Vanished]:
    rows = db.execute("SELECT * FROM vanished_replicas WHERE job = ? ORDER BY dataset", (str(job),))
    return {each.dataset: each for each in map(vanished_from_row, rows)}


def _write(db: sqlite3.Connection, job: JobId, records: Collection[Vanished]) -> None:
    db.execute("DELETE FROM vanished_replicas WHERE job = ?", (str(job),))
    rows = [
        (str(job), v.dataset, str(v.guid), v.since, v.seen, v.waited, v.announced, v.ending, v.kept) for v in records
    ]
    db.executemany(_INSERT, rows)


def vanished_from_row(row: sqlite3.Row) -> Vanished:
    """Return the record of a row; GUIDs are text, since SQLite's integers are too small for them.

    Raises:
        ValueError: it says that a replica has waited for longer than it is known.
    """
    if not 0 <= row["waited"] <= max(0.0, row["seen"] - row["since"]) + _CLOCK_SECONDS:
        raise ValueError(f"waited {row['waited']} s since {row['since']}")
    return Vanished(
        dataset=row["dataset"],
        guid=int(row["guid"]),
        since=row["since"],
        seen=row["seen"],
        waited=row["waited"],
        announced=row["announced"],
        ending=bool(row["ending"]),
        kept=row["kept"],
    )
