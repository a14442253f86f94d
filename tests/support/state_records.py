"""Builders of runs in a ``state.db`` for tests: one that succeeded, one that failed; and files of older formats."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from replicator.common.history import Retention
from replicator.daemon.run_records import RunRecords
from replicator.errors import ErrorClass
from replicator.events import RunFailed, RunSucceeded
from replicator.models import JobId, JobState, Vanished
from replicator.schedule.grace import NEVER, Terms
from replicator.state.stores import State

NOW = 1_800_000_000.0
DAY = 86_400.0
JOB = JobId(100, 0)


@contextmanager
def opened_state(path: Path) -> Iterator[State]:
    """Open a ``state.db`` that knows the job while the body runs."""
    with closing(State.open(path)) as state:
        state.jobs.ensure(JOB, NOW)
        yield state


def succeed(state: State, at: float, *, job: JobId = JOB, retention: Retention | None = None) -> int:
    """Record a run that succeeded; return its number."""
    run = state.runs.begin(job, at, owner="another process", missed=0)
    event = RunSucceeded(at + 5, job, run, last_sync=at + 1, duration=5.0, sent_bytes=10)
    state.runs.finish(event, start=at, sent_bytes=10, unreplicated=0, retention=retention)
    return run


def gone(*datasets: str, at: float = NOW) -> tuple[Vanished, ...]:
    """Return the records of replicas whose volumes a run saw gone."""
    return tuple(Vanished(dataset, number, at, at) for number, dataset in enumerate(sorted(datasets), start=1))


def records_of_run(
    state: State, *, at: float = NOW, run: int = 7, terms: Terms | None = None, job: JobId = JOB
) -> RunRecords:
    """Return the records of a run that begins with a job as ``state`` has it; ``terms`` None: nothing has an end."""
    known = state.jobs.get(job) or JobState(created=at)
    return RunRecords(
        state, job, run, lambda: at, known.synced, known.resume_pending, known.vanished, terms or Terms(NEVER)
    )


def fail(state: State, at: float, consecutive: int = 1, *, since: float | None = None) -> int:
    """Record a run that failed; return its number."""
    run = state.runs.begin(JOB, at, owner="another process", missed=0)
    event = RunFailed(
        at + 2, JOB, run, ErrorClass.NETWORK, "beta is away.", "Look.", consecutive, since or at, None, at + 300
    )
    state.runs.finish(event, start=at, sent_bytes=3, resume_pending=True)
    return run


def refuse_events(state: State) -> None:
    """Let each event that is written to the journal fail, as an error of zsr would."""
    refusing = "CREATE TRIGGER refusing BEFORE INSERT ON journal BEGIN SELECT RAISE(ABORT, 'no'); END"
    state.database._connection.execute(refusing)


NEWEST = 14
ADDED = {
    2: "ALTER TABLE job_state DROP COLUMN last_set",
    3: "ALTER TABLE job_state DROP COLUMN vanished",
    4: "ALTER TABLE job_state DROP COLUMN sets",
    5: "DROP TABLE sent_snapshots",
    6: "ALTER TABLE job_state DROP COLUMN place",
    7: "DROP TABLE frozen_guests; DROP TABLE hook_failures",
    8: "DROP TABLE vanished_replicas; ALTER TABLE job_state DROP COLUMN replaced; "
    "ALTER TABLE job_state ADD COLUMN vanished TEXT",
    9: "ALTER TABLE job_state DROP COLUMN went_back",
    10: "DROP TABLE job_marks",
    11: "ALTER TABLE job_state DROP COLUMN disabled_since; ALTER TABLE job_state DROP COLUMN removal_since",
    12: "DROP TABLE freezes",
    13: "DROP TABLE drills",
    14: "ALTER TABLE frozen_guests RENAME TO named; "
    "CREATE TABLE frozen_guests (guest INTEGER PRIMARY KEY, since REAL NOT NULL, thaw TEXT NOT NULL, "
    "time_limit REAL NOT NULL, job TEXT NOT NULL, run INTEGER NOT NULL, reported INTEGER NOT NULL); "
    "INSERT INTO frozen_guests SELECT * FROM named; DROP TABLE named",
}
"""How to take back what each format added."""


def make_older(path: Path, version: int) -> None:
    """Make a file of the newest format one of an older format."""
    with closing(sqlite3.connect(path)) as file:
        for number in range(NEWEST, version, -1):
            file.executescript(ADDED[number])
        file.execute(f"PRAGMA user_version = {version}")
