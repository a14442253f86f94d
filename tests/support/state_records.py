"""Builders of runs in a ``state.db`` for tests: one that succeeded, one that failed; and files of older formats."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from replicator.errors import ErrorClass
from replicator.events import RunFailed, RunSucceeded
from replicator.models import JobId, Retention
from replicator.state.stores import State

NOW = 1_800_000_000.0
DAY = 86_400.0
JOB = JobId(100, 0)


def succeed(state: State, at: float, *, job: JobId = JOB, retention: Retention | None = None) -> int:
    """Record a run that succeeded; return its number."""
    run = state.runs.begin(job, at, owner="another process", missed=0)
    event = RunSucceeded(at + 5, job, run, last_sync=at + 1, duration=5.0, sent_bytes=10)
    state.runs.finish(event, start=at, sent_bytes=10, unreplicated=0, retention=retention)
    return run


def fail(state: State, at: float, consecutive: int = 1, *, since: float | None = None) -> int:
    """Record a run that failed; return its number."""
    run = state.runs.begin(JOB, at, owner="another process", missed=0)
    event = RunFailed(
        at + 2, JOB, run, ErrorClass.NETWORK, "beta is away.", "Look.", consecutive, since or at, None, at + 300
    )
    state.runs.finish(event, start=at, sent_bytes=3, resume_pending=True)
    return run


NEWEST = 7
ADDED = {
    2: "ALTER TABLE job_state DROP COLUMN last_set",
    3: "ALTER TABLE job_state DROP COLUMN vanished",
    4: "ALTER TABLE job_state DROP COLUMN sets",
    5: "DROP TABLE sent_snapshots",
    6: "ALTER TABLE job_state DROP COLUMN place",
    7: "DROP TABLE frozen_guests; DROP TABLE hook_failures",
}
"""How to take back what each format added."""


def make_older(path: Path, version: int) -> None:
    """Make a file of the newest format one of an older format."""
    with closing(sqlite3.connect(path)) as file:
        for number in range(NEWEST, version, -1):
            file.executescript(ADDED[number])
        file.execute(f"PRAGMA user_version = {version}")
