"""A run that is going on, and the observer that is notified of its start, its log lines and its end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from replicator.events import JobRemoved, RunCancelled, RunFailed, RunSucceeded
from replicator.models import Job
from replicator.replication.progress import Progress

RunEnd = RunSucceeded | RunFailed | RunCancelled | JobRemoved
"""How a run ended; the run of a job that is being removed succeeds with `JobRemoved`."""


@dataclass(slots=True)
class ActiveRun:
    """A run that is going on; ``progress`` changes while it does."""

    job: Job
    run: int
    start: float
    progress: Progress


class RunObserver(Protocol):
    """Is notified of a run, from the task that does it."""

    def started(self, active: ActiveRun) -> None:
        """The guest's lock is held, and the start is recorded."""

    def line(self, text: str) -> None:
        """The run's log has a new line."""

    def ended(self, active: ActiveRun, end: RunEnd) -> None:
        """The end of the run is recorded."""
