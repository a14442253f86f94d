"""What the runs of a time came to, job by job, out of the history in ``state.db``."""

from __future__ import annotations

from replicator.api.status import JobHistory
from replicator.models import JobId, Outcome
from replicator.state.stores import State

_QUERY = """
SELECT job, count(*) AS runs, sum(outcome = ?) AS failures, sum(sent_bytes) AS sent, max(finish - start) AS slowest
FROM runs WHERE finish >= ? AND finish < ? AND outcome != ? GROUP BY job
"""


def histories(state: State, begin: float, end: float) -> dict[JobId, JobHistory]:
    """The jobs that had runs which ended in a time, from ``begin`` to before ``end`` (unix seconds)."""
    rows = state.rows(_QUERY, Outcome.FAILURE, begin, end, Outcome.CANCELLED)
    return {
        JobId.parse(row["job"]): JobHistory(row["runs"], row["failures"], row["sent"], max(0.0, row["slowest"]))
        for row in rows
    }
