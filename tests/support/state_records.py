"""Builders of runs in a ``state.db`` for tests: one that succeeded, one that failed."""

from __future__ import annotations

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
