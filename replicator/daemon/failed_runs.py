"""Records failed runs: those that end with an error, and those whose process is gone."""

from __future__ import annotations

from datetime import UTC, tzinfo

from replicator.common.process_identity import is_alive
from replicator.errors import InternalError, ZsrError
from replicator.events import RunFailed
from replicator.models import JobId, JobState
from replicator.schedule.scheduler import Events, retry
from replicator.state.run_log import RunLogWriter
from replicator.state.runs import RunRecord
from replicator.state.stores import State


def failed_event(
    job: JobId,
    run: int,
    now: float,
    before: JobState,
    error: ZsrError,
    start: float,
    event: Events | None,
    zone: tzinfo,
) -> RunFailed:
    """Return the event of a failed run; the next try is counted from the attempt's start (architecture.md, "Time").

    ``event``: the job's schedule in ``zone``, if it counts: not for a removal, nor where the schedule is not known.
    """
    consecutive = before.consecutive_failures + 1
    return RunFailed(
        time=now,
        job=job,
        run=run,
        error_class=error.error_class,
        message=error.what,
        advice=error.advice,
        consecutive=consecutive,
        failing_since=before.failing_since if before.failing_since is not None else start,
        last_sync=before.last_sync,
        next_run=retry(event, zone, start, consecutive),
    )


def failed_log(log: RunLogWriter, error: ZsrError) -> None:
    """Add the last lines of a failed run to its log."""
    log.add("error", f"{error.error_class}: {error}")
    if error.raw:
        log.add("raw", error.raw.strip())


def close_interrupted(state: State, now: float) -> list[RunRecord]:
    """Record runs whose process is gone (killed, power cut) as failed; return them as they were.

    Old history is not deleted here, since the settings of the job's retention are not known; the next run does it.
    """
    closed = []
    for record in state.runs.unfinished():
        if is_alive(record.owner):
            continue
        before = state.jobs.get(record.job) or JobState(created=now)
        error = InternalError(
            "The run was cut off: zsr was killed or the node went down.",
            advice="The next run continues from there.",
        )
        event = failed_event(record.job, record.id, now, before, error, record.start, None, UTC)
        state.runs.finish(event, start=record.start, sent_bytes=0, resume_pending=before.resume_pending)
        closed.append(record)
    return closed
