"""Marks of jobs in ``state.db``: whether an entry in the cluster may go, since when it is gone, when a source changed.

A job whose entry is gone though nobody was to remove it has vanished: it is reported, and its state is kept for a
while, so that it goes on when the entry comes back.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

from replicator.events import JobVanished
from replicator.models import JobId
from replicator.state.database import Database
from replicator.state.journal import record_event

_INSERT = "INSERT OR IGNORE INTO job_marks VALUES (?, ?, ?)"


class JobMark(StrEnum):
    """A mark of a job. The first three are about its entry in the cluster, and outlive that.

    LEAVING: it is another node's, or being removed. DELETED: by force. VANISHED: it is gone, and was to stay.
    REPLACED: all volumes of the guest were replaced. WENT_BACK: its source went back in time.
    UNTIDY: its runs cannot destroy what is to go on one side or the other.
    """

    LEAVING = "leaving"
    DELETED = "deleted"
    VANISHED = "vanished"
    REPLACED = "replaced"
    WENT_BACK = "went-back"
    UNTIDY = "untidy"


@dataclass(frozen=True, slots=True)
class JobMarks:
    """Reads and writes the marks of jobs; `JobStates.forget` deletes those of a job."""

    database: Database

    def all(self) -> dict[JobMark, dict[JobId, float]]:
        """Return since when (unix time) each job has a mark."""
        found: dict[JobMark, dict[JobId, float]] = {mark: {} for mark in JobMark}
        with self.database.decoding():
            for row in self.database.rows("SELECT job, mark, time FROM job_marks"):
                found[JobMark(row["mark"])][JobId.from_text(row["job"])] = row["time"]
        return found

    def since(self, mark: JobMark) -> dict[JobId, float]:
        """Return since when (unix time) each job has one mark."""
        with self.database.decoding():
            rows = self.database.rows("SELECT job, time FROM job_marks WHERE mark = ?", mark)
            return {JobId.from_text(row["job"]): row["time"] for row in rows}

    def set(self, mark: JobMark, jobs: Collection[JobId], now: float) -> None:
        """Mark jobs; one that has the mark keeps its time."""
        with self.database.transaction() as db:
            db.executemany(_INSERT, [(str(job), mark, now) for job in jobs])

    def clear(self, mark: JobMark, jobs: Collection[JobId]) -> None:
        """Take a mark from jobs."""
        with self.database.transaction() as db:
            db.executemany("DELETE FROM job_marks WHERE job = ? AND mark = ?", [(str(job), mark) for job in jobs])

    def record_vanished(self, targets: Mapping[JobId, str], now: float) -> None:
        """Mark jobs as vanished, and write that to the journal; ``targets``: the nodes that they replicated to."""
        with self.database.transaction() as db:
            for job, target in targets.items():
                db.execute(_INSERT, (str(job), JobMark.VANISHED, now))
                row = db.execute("SELECT last_sync FROM job_state WHERE job = ?", (str(job),)).fetchone()
                record_event(db, JobVanished(now, job, target, None if row is None else row["last_sync"]))
