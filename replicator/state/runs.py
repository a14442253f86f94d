"""The history of runs in ``state.db``: begin, end, and the totals of a period."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from replicator.api.job_status import JobHistory
from replicator.common.history import Retention
from replicator.errors import ErrorClass
from replicator.events import RunCancelled, RunFailed, RunStarted, RunSucceeded
from replicator.models import JobId, Outcome
from replicator.state.database import Database
from replicator.state.journal import record_event
from replicator.state.pruning import REMOVED, prune

RunEnd = RunSucceeded | RunFailed | RunCancelled

_HISTORIES = """
SELECT job, count(*) AS runs, sum(outcome = ?) AS failures, sum(sent_bytes) AS sent, max(finish - start) AS slowest
FROM runs WHERE finish >= ? AND finish < ? AND outcome != ? GROUP BY job
"""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run of the history. ``finish`` and ``outcome`` are None while it goes on."""

    id: int
    job: JobId
    start: float
    finish: float | None
    owner: str
    outcome: Outcome | None
    error_class: ErrorClass | None
    message: str | None
    sent_bytes: int
    last_sync: float | None


_NEWEST = """
SELECT * FROM runs
WHERE job = ? AND id > COALESCE((SELECT CAST(value AS INTEGER) FROM memory WHERE plugin = ? AND key = ?), 0)
ORDER BY id DESC LIMIT ?
"""


@dataclass(frozen=True, slots=True)
class Runs:
    """Reads and writes the history of runs, and with each begin and end the state of the run's job."""

    database: Database

    def begin(self, job: JobId, start: float, *, owner: str, missed: int) -> int:
        """Record that a run has begun; ``owner`` names the process (see `replicator.common.process_identity`)."""
        with self.database.transaction() as db:
            db.execute("INSERT OR IGNORE INTO job_state (job, created) VALUES (?, ?)", (str(job), start))
            db.execute(
                "UPDATE job_state SET last_try = ?, last_start = ?, slots_from = ?, missed_runs = missed_runs + ? "
                "WHERE job = ?",
                (start, start, start, missed, str(job)),
            )
            cursor = db.execute("INSERT INTO runs (job, start, owner) VALUES (?, ?, ?)", (str(job), start, owner))
            run = int(cursor.lastrowid or 0)
            record_event(db, RunStarted(start, job, run))
        return run

    def finish(
        self,
        event: RunEnd,
        *,
        start: float,
        sent_bytes: int,
        unreplicated: int | None = None,
        resume_pending: bool = False,
        retention: Retention | None = None,
    ) -> None:
        """Record a run's end: history, job state, counters and journal in one transaction.

        Nothing changes if the run has ended already (another process closed it) or its job was forgotten: a run ends
        once. ``retention`` None keeps all history for now.
        """
        job = str(event.job)
        with self.database.transaction() as db:
            running = "SELECT 1 FROM runs WHERE id = ? AND job = ? AND finish IS NULL"
            if db.execute(running, (event.run, job)).fetchone() is None:
                return
            _update_job(db, event, unreplicated)
            db.execute(
                "UPDATE job_state SET last_duration = ?, last_sent_bytes = ?, sent_bytes_total = sent_bytes_total + ?, "
                "resume_pending = ? WHERE job = ?",
                (max(0.0, event.time - start), sent_bytes, sent_bytes, resume_pending, job),
            )
            _end_record(db, event, sent_bytes)
            record_event(db, event)
            if retention is not None:
                prune(db, job, event.time, retention)

    def unfinished(self) -> list[RunRecord]:
        """Return the runs that have begun and not ended: going on now, or cut off by a kill or a power cut."""
        return self._records("SELECT * FROM runs WHERE finish IS NULL ORDER BY id")

    def newest(self, job: JobId, limit: int = 20) -> list[RunRecord]:
        """Return the newest runs of a job, newest first; without those of a former job of this id."""
        return self._records(_NEWEST, str(job), REMOVED, str(job), limit)

    def all(self, job: JobId) -> list[RunRecord]:
        """Return all runs of a job, and of a former one of this id, newest first."""
        return self._records("SELECT * FROM runs WHERE job = ? ORDER BY id DESC", str(job))

    def _records(self, query: str, *values: object) -> list[RunRecord]:
        with self.database.decoding():
            return [_record(row) for row in self.database.rows(query, *values)]

    def former_jobs(self) -> list[str]:
        """Return the ids of removed jobs that have runs still."""
        query = "SELECT DISTINCT job FROM runs WHERE job NOT IN (SELECT job FROM job_state) ORDER BY job"
        return [str(row["job"]) for row in self.database.rows(query)]

    def has_succeeded_last(self, job: JobId) -> bool:
        """Return whether a job's last run succeeded; False also where there was none."""
        last = next(iter(self.newest(job, limit=1)), None)
        return last is not None and last.outcome is Outcome.SUCCESS

    def histories(self, begin: float, end: float) -> dict[JobId, JobHistory]:
        """Sum up, by job, the runs that ended from ``begin`` to before ``end`` (unix seconds)."""
        with self.database.decoding():
            rows = self.database.rows(_HISTORIES, Outcome.FAILURE, begin, end, Outcome.CANCELLED)
            return {
                JobId.from_text(row["job"]): JobHistory(
                    row["runs"], row["failures"], row["sent"], max(0.0, row["slowest"])
                )
                for row in rows
            }


def _update_job(db: sqlite3.Connection, event: RunEnd, unreplicated: int | None) -> None:
    """Write into the job's state how its run ended.

    A run that succeeded also sets ``unreplicated_bytes``, which otherwise the inventory sets (`JobStates`): the number
    would contradict the run's end until the next inventory, up to a minute later.
    """
    job = str(event.job)
    match event:
        case RunSucceeded():
            db.execute(
                "UPDATE job_state SET last_sync = ?, consecutive_failures = 0, failing_since = NULL, "
                "error_class = NULL, message = NULL, advice = NULL, runs_succeeded = runs_succeeded + 1, "
                "unreplicated_bytes = ? WHERE job = ?",
                (event.last_sync, unreplicated, job),
            )
        case RunFailed():
            db.execute(
                "UPDATE job_state SET consecutive_failures = ?, failing_since = ?, error_class = ?, "
                "message = ?, advice = ?, runs_failed = runs_failed + 1 WHERE job = ?",
                (event.consecutive, event.failing_since, event.error_class, event.message, event.advice, job),
            )
            db.execute(
                "INSERT INTO job_errors VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET count = count + 1",
                (job, event.error_class),
            )
        case RunCancelled():
            db.execute("UPDATE job_state SET runs_cancelled = runs_cancelled + 1 WHERE job = ?", (job,))


def _end_record(db: sqlite3.Connection, event: RunEnd, sent_bytes: int) -> None:
    outcome = {RunSucceeded: Outcome.SUCCESS, RunFailed: Outcome.FAILURE, RunCancelled: Outcome.CANCELLED}[type(event)]
    failure = (event.error_class, event.message) if isinstance(event, RunFailed) else (None, None)
    last_sync = event.last_sync if isinstance(event, RunSucceeded | RunFailed) else None
    db.execute(
        "UPDATE runs SET finish = ?, outcome = ?, error_class = ?, message = ?, sent_bytes = ?, last_sync = ? "
        "WHERE id = ?",
        (event.time, outcome, *failure, sent_bytes, last_sync, event.run),
    )


def _record(row: sqlite3.Row) -> RunRecord:
    return RunRecord(
        id=row["id"],
        job=JobId.from_text(row["job"]),
        start=row["start"],
        finish=row["finish"],
        owner=row["owner"],
        outcome=Outcome(row["outcome"]) if row["outcome"] else None,
        error_class=ErrorClass(row["error_class"]) if row["error_class"] else None,
        message=row["message"],
        sent_bytes=row["sent_bytes"],
        last_sync=row["last_sync"],
    )
