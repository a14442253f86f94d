"""Whether runs can destroy what is to go."""

from __future__ import annotations

from dataclasses import dataclass

from replicator.models import JobId
from replicator.replication.progress import UNTIDY, Log
from replicator.state.job_marks import JobMark
from replicator.state.stores import State


@dataclass
class TidyLog:
    """A run's log that notes whether a warning was about something that could not be destroyed."""

    write: Log
    failed: bool = False

    def add(self, level: str, text: str) -> None:
        """See `Log`."""
        self.failed = self.failed or level == UNTIDY
        self.write("warning" if level == UNTIDY else level, text)


def note_tidied(state: State, job: JobId, now: float, *, failed: bool) -> None:
    """Record how the tidying of a run that succeeded went. Blocks. The first failure counts, until a run has none.

    Raises:
        ZsrError: ``state.db`` cannot be written.
    """
    if failed:
        state.marks.set(JobMark.UNTIDY, [job], now)
    elif job in state.marks.since(JobMark.UNTIDY):
        state.marks.clear(JobMark.UNTIDY, [job])
