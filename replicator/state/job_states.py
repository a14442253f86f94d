"""The state of each job in ``state.db``: last sync, failures, counters, known snapshot sets."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from replicator.errors import ErrorClass
from replicator.events import GuestReplaced, JobRemoved, ReplicaLost, SourceWentBack
from replicator.models import Failure, JobId, JobState, KnownSets, Synced, Vanished
from replicator.state.database import Database
from replicator.state.former_keeps import STORE
from replicator.state.job_marks import JobMark
from replicator.state.journal import record_event
from replicator.state.pruning import leave_runs
from replicator.state.set_codec import place_from_text, place_to_text, sets_from_text, sets_to_text
from replicator.state.vanished_replicas import vanished_from_row

_BATCH_SIZE = 500

_MARKS = (JobMark.REPLACED, JobMark.WENT_BACK, JobMark.UNTIDY)
_Times = Mapping[JobMark, float]

_Cached = tuple[JobId, tuple[object, ...], _Times, JobState]
"""A job, the values of its row, the times of its marks, and the state made of them."""


class JobStates:
    """Reads and writes job states. A run's begin and end are written by `replicator.state.runs.Runs`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._cache: dict[str, _Cached] = {}
        self._cache_version: tuple[int, int, int] | None = None

    def ensure(self, job: JobId, now: float) -> None:
        """Add a job that has no state yet; nothing changes if it has one."""
        with self._database.transaction() as db:
            db.execute("INSERT OR IGNORE INTO job_state (job, created) VALUES (?, ?)", (str(job), now))

    def all(self) -> dict[JobId, JobState]:
        """Return the state of every job; the very same object as the last time where nothing changed."""
        with self._database.lock:
            version = self._database.version()
            if version != self._cache_version:
                with self._database.decoding():
                    self._cache = self._read()
                self._cache_version = version
            return {job: state for job, _, _, state in self._cache.values()}

    def _read(self) -> dict[str, _Cached]:
        """Return the jobs by name, with the row of each; row by row, so that of thousands only changed ones are new."""
        errors: dict[str, list[tuple[ErrorClass, int]]] = {}
        for row in self._database.rows("SELECT job, class, count FROM job_errors ORDER BY class"):
            errors.setdefault(row["job"], []).append((ErrorClass(row["class"]), row["count"]))
        gone: dict[str, list[Vanished]] = {}
        for row in self._database.rows("SELECT * FROM vanished_replicas ORDER BY job, dataset"):
            gone.setdefault(row["job"], []).append(vanished_from_row(row))
        marks = self._times_of_marks()
        read = {}
        for row in self._database.each_row("SELECT * FROM job_state"):
            name, facts = row["job"], tuple(row)
            counts = tuple(errors[name]) if name in errors else ()
            vanished = tuple(gone[name]) if name in gone else ()
            times = marks.get(name, {})
            known = self._cache.get(name)
            same = known is not None and known[1:3] == (facts, times)
            if known is None or not same or known[3].errors != counts or known[3].vanished != vanished:
                known = JobId.from_text(name), facts, times, _job_state(row, counts, vanished, times)
            read[name] = known
        return read

    def _times_of_marks(self) -> dict[str, dict[JobMark, float]]:
        found: dict[str, dict[JobMark, float]] = {}
        query = "SELECT job, mark, time FROM job_marks WHERE mark IN (?, ?, ?)"
        for row in self._database.rows(query, *_MARKS):
            found.setdefault(row["job"], {})[JobMark(row["mark"])] = row["time"]
        return found

    def get(self, job: JobId) -> JobState | None:
        """Return the state of one job, or None if it has none."""
        query = "SELECT class, count FROM job_errors WHERE job = ? ORDER BY class"
        with self._database.decoding():
            counts = tuple((ErrorClass(row["class"]), row["count"]) for row in self._database.rows(query, str(job)))
            gone = self._database.rows("SELECT * FROM vanished_replicas WHERE job = ? ORDER BY dataset", str(job))
            rows = self._database.rows("SELECT * FROM job_state WHERE job = ?", str(job))
            times = self._times_of_marks().get(str(job), {})
            return _job_state(rows[0], counts, tuple(map(vanished_from_row, gone)), times) if rows else None

    def count_slots(self, wanted: Mapping[JobId, str | None], now: float) -> None:
        """Set the schedule whose passed slots count as missed, for each job; None: none, the job is disabled.

        Where that changes, counting starts over: slots of a time when the job was disabled, or had another schedule,
        were not missed.
        """
        known = {row["job"]: row["slots_of"] for row in self._database.rows("SELECT job, slots_of FROM job_state")}
        changes = [(of, str(job)) for job, of in wanted.items() if str(job) in known and known[str(job)] != of]
        if not changes:
            return
        with self._database.transaction() as db:
            db.executemany(
                "UPDATE job_state SET slots_of = ?1, slots_from = CASE "
                "WHEN ?1 IS NULL OR last_start = 0 THEN 0 WHEN slots_of IS NULL AND slots_from > 0 THEN slots_from "
                "ELSE ?3 END WHERE job = ?2",
                [(of, job, now) for of, job in changes],
            )

    def set_off_since(self, since: Mapping[JobId, tuple[float | None, float | None]]) -> None:
        """Set since when jobs are disabled, and since when they are being removed; None: they are not."""
        with self._database.transaction() as db:
            db.executemany(
                "UPDATE job_state SET disabled_since = ?, removal_since = ? WHERE job = ?",
                [(disabled, removal, str(job)) for job, (disabled, removal) in since.items()],
            )

    def schedule_now(self, job: JobId) -> None:
        """Make a job due at once: as if it had never been tried (failures stay counted)."""
        with self._database.transaction() as db:
            db.execute("UPDATE job_state SET last_try = 0 WHERE job = ?", (str(job),))

    def set_synced(self, job: JobId, synced: Synced, *, run: int, now: float) -> None:
        """Record the content that a run proved to be on the target; durable when this returns.

        ``synced.sets.sent`` replaces the recorded GUIDs; the states of `get` and `all` leave them out (`with_sent`).

        If there was a copy and there is none any more, the same transaction writes a `ReplicaLost` into the journal.
        """
        with self._database.transaction() as db:
            known = db.execute("SELECT last_sync FROM job_state WHERE job = ?", (str(job),)).fetchone()
            _write_synced(db, job, synced)
            if synced.last_sync is None and known is not None and known["last_sync"] is not None:
                record_event(db, ReplicaLost(now, job, run, known["last_sync"]))

    def set_target(self, job: JobId, synced: Synced, *, replaced: bool, run: int, now: float) -> None:
        """Set what may be claimed of another target than before; what was found on the old one is forgotten.

        Where the target is without a copy, the promise counts on from the last sync on the old one. ``replaced`` means
        that nobody edited the job: its copy is lost then, and the journal gets a `ReplicaLost`.
        """
        with self._database.transaction() as db:
            known = db.execute("SELECT created, last_sync FROM job_state WHERE job = ?", (str(job),)).fetchone()
            if known is None:
                return
            _write_synced(db, job, synced)
            db.execute("UPDATE job_state SET resume_pending = 0 WHERE job = ?", (str(job),))
            db.execute("DELETE FROM vanished_replicas WHERE job = ?", (str(job),))
            if synced.last_sync is not None or known["last_sync"] is None:
                return
            if replaced:
                record_event(db, ReplicaLost(now, job, run, known["last_sync"]))
            else:
                since = max(known["created"], min(known["last_sync"], now))
                db.execute("UPDATE job_state SET created = ? WHERE job = ?", (since, str(job)))

    def with_sent(self, job: JobId, sets: KnownSets) -> KnownSets:
        """Return known sets with the GUIDs of what a job brought to its target; `get` and `all` leave them out."""
        with self._database.decoding():
            rows = self._database.rows("SELECT guid, carried FROM sent_snapshots WHERE job = ?", str(job))
            return replace(sets, sent=_guids(rows), carried=_guids(row for row in rows if row["carried"]))

    def take_over(self, job: JobId, sets: Collection[int], guids: Collection[int], now: float) -> None:
        """Remember sets as taken here and snapshots as brought to the target: a person says so."""
        with self._database.transaction() as db:
            db.execute("INSERT OR IGNORE INTO job_state (job, created) VALUES (?, ?)", (str(job), now))
            row = db.execute("SELECT sets, last_set FROM job_state WHERE job = ?", (str(job),)).fetchone()
            known = sets_from_text(row["sets"], row["last_set"])
            known = replace(known, taken=tuple(sorted({*known.taken, *sets})))
            db.execute("UPDATE job_state SET sets = ? WHERE job = ?", (sets_to_text(known), str(job)))
            rows = [(str(job), str(guid)) for guid in guids]
            db.executemany(
                "INSERT INTO sent_snapshots (job, guid) VALUES (?, ?) ON CONFLICT DO UPDATE SET carried = 0", rows
            )

    def forget_sent(self, job: JobId, guids: Iterable[int]) -> None:
        """Forget snapshots that a job brought to its target, and that a person had destroyed there."""
        rows = [(str(job), str(guid)) for guid in guids]
        with self._database.transaction() as db:
            db.executemany("DELETE FROM sent_snapshots WHERE job = ? AND guid = ?", rows)

    def set_replaced(
        self, job: JobId, volumes: Sequence[int], replicas: Sequence[str], *, run: int, now: float
    ) -> None:
        """Record that none of a guest's volumes has anything in common with its replicas; once for the same volumes.

        ``volumes`` are the GUIDs of their datasets.
        """
        text = json.dumps(sorted(map(str, volumes)))
        with self._database.transaction() as db:
            done = db.execute(
                "UPDATE job_state SET replaced = ? WHERE job = ? AND replaced IS NOT ?", (text, str(job), text)
            )
            if done.rowcount:
                _mark(db, job, JobMark.REPLACED, now)
                record_event(db, GuestReplaced(now, job, run, tuple(sorted(replicas))))

    def set_went_back(self, job: JobId, sets: Mapping[str, Sequence[int]], *, run: int, now: float) -> None:
        """Record that the source lacks sets that are proven on the target; once for the same sets.

        ``sets`` are their unix times, by the dataset of the replica.
        """
        text = json.dumps({name: sorted(times) for name, times in sets.items()}, sort_keys=True)
        with self._database.transaction() as db:
            done = db.execute(
                "UPDATE job_state SET went_back = ? WHERE job = ? AND went_back IS NOT ?", (text, str(job), text)
            )
            if done.rowcount:
                _mark(db, job, JobMark.WENT_BACK, now)
                times = sorted(set().union(*sets.values()))
                record_event(db, SourceWentBack(now, job, run, tuple(sorted(sets)), len(times), float(times[-1])))

    def set_resume_pending(self, job: JobId, pending: bool) -> None:
        """Set whether a half-received state waits on the target."""
        with self._database.transaction() as db:
            db.execute("UPDATE job_state SET resume_pending = ? WHERE job = ?", (pending, str(job)))

    def set_unreplicated(self, sizes: Mapping[JobId, int | None]) -> None:
        """Set how many bytes of each job's guest are not on its target; only jobs where that changed are written.

        In batches, so that other readers and writers do not wait for thousands of rows.
        """
        known = self.all()
        rows = [
            (size, str(job)) for job, size in sizes.items() if job in known and known[job].unreplicated_bytes != size
        ]
        for begin in range(0, len(rows), _BATCH_SIZE):
            with self._database.transaction() as db:
                db.executemany(
                    "UPDATE job_state SET unreplicated_bytes = ? WHERE job = ?", rows[begin : begin + _BATCH_SIZE]
                )

    def forget(self, job: JobId, now: float) -> None:
        """Delete a job, and record in the journal that it is gone; the logs of its runs stay for a while."""
        with self._database.transaction() as db:
            leave_runs(db, str(job), now)
            for table in ("job_errors", "job_state", "sent_snapshots", "vanished_replicas", "job_marks"):
                db.execute(f"DELETE FROM {table} WHERE job = ?", (str(job),))  # noqa: S608 - fixed names
            db.execute("DELETE FROM memory WHERE plugin = ? AND key = ?", (STORE, str(job)))
            record_event(db, JobRemoved(now, job))


_NOT_PLAIN = (
    "job", "error_class", "message", "advice", "resume_pending", "slots_of", "sets", "place", "replaced", "went_back",
)  # fmt: skip


def _write_synced(db: sqlite3.Connection, job: JobId, synced: Synced) -> None:
    row = (synced.last_sync, synced.last_set, sets_to_text(synced.sets), place_to_text(synced.place), str(job))
    db.execute("UPDATE job_state SET last_sync = ?, last_set = ?, sets = ?, place = ? WHERE job = ?", row)
    _write_sent(db, job, synced.sets)


def _mark(db: sqlite3.Connection, job: JobId, mark: JobMark, now: float) -> None:
    db.execute("INSERT OR REPLACE INTO job_marks VALUES (?, ?, ?)", (str(job), mark, now))


def _job_state(
    row: sqlite3.Row, errors: Sequence[tuple[ErrorClass, int]], vanished: tuple[Vanished, ...], times: _Times
) -> JobState:
    failure = None
    if row["error_class"] is not None:
        failure = Failure(ErrorClass(row["error_class"]), row["message"], row["advice"])
    plain = {
        key: row[key]
        for key in row.keys()  # noqa: SIM118 - a Row iterates over values
        if key not in _NOT_PLAIN
    }
    return JobState(
        **plain,
        failure=failure,
        resume_pending=bool(row["resume_pending"]),
        errors=tuple(errors),
        sets=sets_from_text(row["sets"], row["last_set"]),
        vanished=vanished,
        place=place_from_text(row["place"]),
        replaced_at=times.get(JobMark.REPLACED),
        went_back_at=times.get(JobMark.WENT_BACK),
        untidy_since=times.get(JobMark.UNTIDY),
    )


def _guids(rows: Iterable[sqlite3.Row]) -> frozenset[int]:
    """Return the GUIDs of rows; they are text, since SQLite's integers are too small for them."""
    return frozenset(int(row["guid"]) for row in rows)


def _write_sent(db: sqlite3.Connection, job: JobId, sets: KnownSets) -> None:
    """Write what differs from the rows that a job has."""
    before = _guids(db.execute("SELECT guid FROM sent_snapshots WHERE job = ?", (str(job),)))
    dropped = [(str(job), str(guid)) for guid in before - sets.sent]
    added = [(str(job), str(guid), guid in sets.carried) for guid in sets.sent - before]
    db.executemany("DELETE FROM sent_snapshots WHERE job = ? AND guid = ?", dropped)
    db.executemany("INSERT INTO sent_snapshots (job, guid, carried) VALUES (?, ?, ?)", added)
