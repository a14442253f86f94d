"""The memory of this node: job state, run history, run logs, the journal of events (SQLite, ``state.db``).

Nothing here is needed to be right: last sync, base and fail-safe behaviour are derived again from ZFS (DESIGN 3).
What changes together is written together: a run's end, the job's state, the counters and the journal's event are
one transaction, so that neither a kill nor a full disk can leave one without the others.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from replicator.api.event_codec import KINDS, from_json, to_json
from replicator.common.files import file_error
from replicator.errors import ErrorClass, ZsrError
from replicator.events import (
    Event,
    JobRemoved,
    ReplicaLost,
    RunCancelled,
    RunFailed,
    RunStarted,
    RunSucceeded,
    VolumesVanished,
)
from replicator.models import Failure, JobId, JobState, Outcome, Retention, Synced
from replicator.state.plugin_store import SqlitePluginStore
from replicator.state.pruning import prune
from replicator.state.schema import as_zsr_error, connect, move_aside
from replicator.state.set_codec import sets_from_text, sets_to_text

_AT_A_TIME = 500
_DAMAGED = "The daemon moves it aside when it starts (systemctl restart zsr); only history is lost."


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


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of a run's log; ``level`` is info, warning, error or raw."""

    number: int
    time: float
    level: str
    text: str


class State:
    """The open ``state.db``. Usable from several threads, and beside other processes that have it open."""

    def __init__(self, connection: sqlite3.Connection, *, moved_aside: Path | None) -> None:
        self._db = connection
        self._lock = threading.RLock()
        self._known: dict[str, tuple[JobId, tuple[object, ...], JobState]] = {}
        self._known_at: tuple[int, int] | None = None
        self.moved_aside = moved_aside

    @classmethod
    def open(cls, path: Path, *, mend: bool = True) -> State:
        """Open or make the file. A damaged one is moved aside (`moved_aside` then names it) and a new one begun.

        ``mend`` False is for who only looks in while a daemon may have the file open: nothing is searched for damage,
        and a damaged file stays where it is.

        Raises:
            ZsrError: the file cannot be opened or made, is of a newer zsr, or is damaged and may not be mended.
        """
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                return cls(connect(path, search=mend), moved_aside=None)
            except sqlite3.OperationalError as error:
                raise as_zsr_error(error, path) from error
            except sqlite3.DatabaseError as error:
                if not mend:
                    raise ZsrError(f"'{path}' is damaged: {error}.", advice=_DAMAGED) from error
                aside = move_aside(path)
                return cls(connect(path), moved_aside=aside)
        except OSError as error:
            raise file_error(error, f"open '{path}'") from error

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it or nothing."""
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    yield self._db
                    self._db.execute("COMMIT")
                except BaseException:
                    if self._db.in_transaction:  # SQLite has rolled back by itself where the disk is full
                        self._db.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                raise as_zsr_error(error, None) from error

    def rows(self, query: str, *values: object) -> list[sqlite3.Row]:
        """The rows that a query finds."""
        with self._lock:
            try:
                return self._db.execute(query, values).fetchall()
            except sqlite3.Error as error:
                raise as_zsr_error(error, None) from error

    # --- jobs

    def ensure_job(self, job: JobId, now: float) -> None:
        """Begin to remember a job; nothing changes if it is known."""
        with self.transaction() as db:
            db.execute("INSERT OR IGNORE INTO job_state (job, created) VALUES (?, ?)", (str(job), now))

    def jobs(self) -> dict[JobId, JobState]:
        """The state of every job that is remembered; the very same object as the last time where nothing changed."""
        with self._lock:
            # Both say nothing but whether anybody wrote since: other connections (the first), this one (the second).
            version = self.rows("PRAGMA data_version")[0][0], self._db.total_changes
            if version != self._known_at:
                self._known = self._read_jobs()
                self._known_at = version
            return {job: state for job, _, state in self._known.values()}

    def _read_jobs(self) -> dict[str, tuple[JobId, tuple[object, ...], JobState]]:
        """The jobs by name, with the row of each; row by row, so that of thousands none but a changed one stays."""
        errors: dict[str, list[tuple[ErrorClass, int]]] = {}
        for row in self.rows("SELECT job, class, count FROM job_errors ORDER BY class"):
            errors.setdefault(row["job"], []).append((ErrorClass(row["class"]), row["count"]))
        read = {}
        try:
            for row in self._db.execute("SELECT * FROM job_state"):
                name, facts = row["job"], tuple(row)
                counts = tuple(errors[name]) if name in errors else ()
                known = self._known.get(name)
                if known is None or known[1] != facts or known[2].errors != counts:
                    known = JobId.parse(name), facts, _job_state(row, counts)
                read[name] = known
        except sqlite3.Error as error:
            raise as_zsr_error(error, None) from error
        return read

    def job(self, job: JobId) -> JobState | None:
        """The state of one job, or None if it is not remembered."""
        errors = self.rows("SELECT class, count FROM job_errors WHERE job = ? ORDER BY class", str(job))
        counts = tuple((ErrorClass(row["class"]), row["count"]) for row in errors)
        rows = self.rows("SELECT * FROM job_state WHERE job = ?", str(job))
        return _job_state(rows[0], counts) if rows else None

    def count_slots(self, wanted: dict[JobId, str | None], now: float) -> None:
        """Say of what schedule each job's slots are that count as missed when they pass; None: none, it is disabled.

        Where that changes, counting begins anew: slots of a time when the job was disabled, or had another schedule,
        were not missed.
        """
        known = {row["job"]: row["slots_of"] for row in self.rows("SELECT job, slots_of FROM job_state")}
        changes = [(of, str(job)) for job, of in wanted.items() if str(job) in known and known[str(job)] != of]
        if not changes:
            return
        with self.transaction() as db:
            db.executemany(
                "UPDATE job_state SET slots_of = ?1, slots_from = CASE "
                "WHEN ?1 IS NULL OR last_start = 0 THEN 0 WHEN slots_of IS NULL AND slots_from > 0 THEN slots_from "
                "ELSE ?3 END WHERE job = ?2",
                [(of, job, now) for of, job in changes],
            )

    def schedule_now(self, job: JobId) -> None:
        """Make a job due at once: as if it had never been tried (failures stay counted)."""
        with self.transaction() as db:
            db.execute("UPDATE job_state SET last_try = 0 WHERE job = ?", (str(job),))

    def set_synced(self, job: JobId, synced: Synced, *, run: int, now: float) -> None:
        """Remember what a run proved to be on the target; durable when this returns.

        Where there was a copy and there is none any more, the journal gets a `ReplicaLost` with it.
        """
        with self.transaction() as db:
            known = db.execute("SELECT last_sync FROM job_state WHERE job = ?", (str(job),)).fetchone()
            row = (synced.last_sync, synced.last_set, sets_to_text(synced.sets), str(job))
            db.execute("UPDATE job_state SET last_sync = ?, last_set = ?, sets = ? WHERE job = ?", row)
            if synced.last_sync is None and known is not None and known["last_sync"] is not None:
                _journal(db, ReplicaLost(now, job, run, known["last_sync"]))

    def set_vanished(self, job: JobId, datasets: Sequence[str], *, run: int, now: float) -> None:
        """Remember the replicas whose volumes a run found gone from the source; those that are new go to the journal.

        Nothing is written if they are the same as before, or if the job was forgotten.
        """
        with self.transaction() as db:
            known = db.execute("SELECT vanished FROM job_state WHERE job = ?", (str(job),)).fetchone()
            if known is None:
                return
            before, after = _names(known["vanished"]), tuple(sorted(datasets))
            if after == before:
                return
            text = json.dumps(after) if after else None
            db.execute("UPDATE job_state SET vanished = ? WHERE job = ?", (text, str(job)))
            if new := tuple(name for name in after if name not in before):
                _journal(db, VolumesVanished(now, job, run, new))

    def set_resume_pending(self, job: JobId, pending: bool) -> None:
        """Note whether a half-received state waits on the target."""
        with self.transaction() as db:
            db.execute("UPDATE job_state SET resume_pending = ? WHERE job = ?", (pending, str(job)))

    def set_unreplicated(self, sizes: Mapping[JobId, int | None]) -> None:
        """Note how many bytes of each job's guest are not on its target; of those where that changed.

        Some at a time: whoever wants to read or write meanwhile does not wait for thousands.
        """
        known = self.jobs()
        rows = [
            (size, str(job)) for job, size in sizes.items() if job in known and known[job].unreplicated_bytes != size
        ]
        for begin in range(0, len(rows), _AT_A_TIME):
            with self.transaction() as db:
                db.executemany(
                    "UPDATE job_state SET unreplicated_bytes = ? WHERE job = ?", rows[begin : begin + _AT_A_TIME]
                )

    def forget(self, job: JobId, now: float) -> None:
        """Forget a job with its history, and say in the journal that it is gone."""
        with self.transaction() as db:
            db.execute("DELETE FROM run_log WHERE run IN (SELECT id FROM runs WHERE job = ?)", (str(job),))
            for table in ("runs", "job_errors", "job_state"):
                db.execute(f"DELETE FROM {table} WHERE job = ?", (str(job),))  # noqa: S608 - fixed names
            _journal(db, JobRemoved(now, job))

    # --- runs

    def begin_run(self, job: JobId, start: float, *, owner: str, missed: int) -> int:
        """Record that a run has begun; ``owner`` names the process (see `replicator.common.process_identity`)."""
        with self.transaction() as db:
            db.execute("INSERT OR IGNORE INTO job_state (job, created) VALUES (?, ?)", (str(job), start))
            db.execute(
                "UPDATE job_state SET last_try = ?, last_start = ?, slots_from = ?, missed_runs = missed_runs + ? "
                "WHERE job = ?",
                (start, start, start, missed, str(job)),
            )
            cursor = db.execute("INSERT INTO runs (job, start, owner) VALUES (?, ?, ?)", (str(job), start, owner))
            run = int(cursor.lastrowid or 0)
            _journal(db, RunStarted(start, job, run))
        return run

    def finish_run(
        self,
        event: RunSucceeded | RunFailed | RunCancelled,
        *,
        start: float,
        sent_bytes: int,
        unreplicated: int | None = None,
        resume_pending: bool = False,
        retention: Retention | None = None,
    ) -> None:
        """Record a run's end: history, job state, counters and journal in one transaction.

        Nothing changes if the run has ended already (somebody else closed it) or its job was forgotten: a run ends
        once. ``retention`` None keeps all history for now.
        """
        job = str(event.job)
        with self.transaction() as db:
            if db.execute("SELECT 1 FROM runs WHERE id = ? AND finish IS NULL", (event.run,)).fetchone() is None:
                return
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
            db.execute(
                "UPDATE job_state SET last_duration = ?, last_sent_bytes = ?, sent_bytes_total = sent_bytes_total + ?, "
                "resume_pending = ? WHERE job = ?",
                (max(0.0, event.time - start), sent_bytes, sent_bytes, resume_pending, job),
            )
            _end_record(db, event, sent_bytes)
            _journal(db, event)
            if retention is not None:
                prune(db, job, event.time, retention)

    def interrupted_runs(self) -> list[RunRecord]:
        """Runs that have begun and not ended: going on now, or cut off by a kill or a power cut."""
        return [_record(row) for row in self.rows("SELECT * FROM runs WHERE finish IS NULL ORDER BY id")]

    def runs(self, job: JobId, limit: int = 20) -> list[RunRecord]:
        """The newest runs of a job, newest first; -1: all of them."""
        rows = self.rows("SELECT * FROM runs WHERE job = ? ORDER BY id DESC LIMIT ?", str(job), limit)
        return [_record(row) for row in rows]

    def log(self, run: int, lines: Sequence[tuple[float, str, str]]) -> None:
        """Add lines (time, level, text) to a run's log; not to that of a run which was forgotten with its job."""
        with self.transaction() as db:
            if db.execute("SELECT 1 FROM runs WHERE id = ?", (run,)).fetchone() is None:
                return
            last = db.execute("SELECT coalesce(max(number), 0) FROM run_log WHERE run = ?", (run,)).fetchone()[0]
            db.executemany(
                "INSERT INTO run_log VALUES (?, ?, ?, ?, ?)",
                [(run, last + 1 + index, *line) for index, line in enumerate(lines)],
            )

    def run_log(self, run: int, after: int = 0) -> list[LogLine]:
        """The lines of a run's log with a number above ``after``."""
        rows = self.rows(
            "SELECT number, time, level, text FROM run_log WHERE run = ? AND number > ? ORDER BY number", run, after
        )
        return [LogLine(*row) for row in rows]

    # --- journal and plugins

    def events(self, after: int, limit: int = 500) -> list[tuple[int, Event]]:
        """The journal's events with a number above ``after``, oldest first."""
        marks = ", ".join("?" * len(KINDS))  # kinds that only a newer version knows are passed over
        rows = self.rows(
            f"SELECT number, kind, body FROM journal WHERE number > ? AND kind IN ({marks}) ORDER BY number LIMIT ?",  # noqa: S608
            after,
            *KINDS,
            limit,
        )
        return [(row["number"], from_json(row["kind"], row["body"])) for row in rows]

    def last_event(self) -> int:
        """The number of the newest event, 0 if there never was one."""
        rows = self.rows("SELECT seq FROM sqlite_sequence WHERE name = 'journal'")
        return int(rows[0]["seq"]) if rows else 0

    def first_event(self) -> int:
        """The number of the oldest event that is kept, 0 if there is none."""
        return int(self.rows("SELECT coalesce(min(number), 0) FROM journal")[0][0])

    def memory(self, plugin: str) -> SqlitePluginStore:
        """The durable notes of a plugin."""
        return SqlitePluginStore(self, plugin)


def _journal(db: sqlite3.Connection, event: Event) -> None:
    db.execute("INSERT INTO journal (time, kind, body) VALUES (?, ?, ?)", (event.time, *to_json(event)))


def _end_record(db: sqlite3.Connection, event: RunSucceeded | RunFailed | RunCancelled, sent_bytes: int) -> None:
    outcome = {RunSucceeded: Outcome.SUCCESS, RunFailed: Outcome.FAILURE, RunCancelled: Outcome.CANCELLED}[type(event)]
    failure = (event.error_class, event.message) if isinstance(event, RunFailed) else (None, None)
    last_sync = event.last_sync if isinstance(event, RunSucceeded | RunFailed) else None
    db.execute(
        "UPDATE runs SET finish = ?, outcome = ?, error_class = ?, message = ?, sent_bytes = ?, last_sync = ? "
        "WHERE id = ?",
        (event.time, outcome, *failure, sent_bytes, last_sync, event.run),
    )


def _job_state(row: sqlite3.Row, errors: Sequence[tuple[ErrorClass, int]]) -> JobState:
    failure = None
    if row["error_class"] is not None:
        failure = Failure(ErrorClass(row["error_class"]), row["message"], row["advice"])
    plain = {
        key: row[key]
        for key in row.keys()  # noqa: SIM118 - a Row iterates over values
        if key not in ("job", "error_class", "message", "advice", "resume_pending", "slots_of", "vanished", "sets")
    }
    return JobState(
        **plain,
        failure=failure,
        resume_pending=bool(row["resume_pending"]),
        errors=tuple(errors),
        sets=sets_from_text(row["sets"], row["last_set"]),
        vanished=_names(row["vanished"]),
    )


def _names(text: str | None) -> tuple[str, ...]:
    """The datasets of the column ``vanished``, a JSON list or nothing."""
    return () if text is None else tuple(map(str, json.loads(text)))


def _record(row: sqlite3.Row) -> RunRecord:
    return RunRecord(
        id=row["id"],
        job=JobId.parse(row["job"]),
        start=row["start"],
        finish=row["finish"],
        owner=row["owner"],
        outcome=Outcome(row["outcome"]) if row["outcome"] else None,
        error_class=ErrorClass(row["error_class"]) if row["error_class"] else None,
        message=row["message"],
        sent_bytes=row["sent_bytes"],
        last_sync=row["last_sync"],
    )
