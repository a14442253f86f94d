"""The picture of this moment: cluster, states, schedule and runs put together into a `Status`. Pure.

A job at rest is drawn when it is planned, and the drawing is kept until something in it changes: of ten thousand
jobs, a picture draws anew only those that run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from replicator.api.status import JobStatus, Transfer
from replicator.daemon.run_worker import ActiveRun
from replicator.models import Guest, Job, JobCondition, JobId, JobState
from replicator.schedule.scheduler import Scheduled, missed_runs

CACHE_SECONDS = 10.0
"""Seconds for which a drawing is shown although a slot may have passed; planning, which comes sooner, renews it."""


@dataclass(frozen=True, slots=True)
class ScheduledJob:
    """A job with what the scheduler needs of it, and how it is while it does not run.

    Attributes:
        due: when it is due, as `schedule.scheduler.next_run` tells.
        idle_status: the job as it was ``computed_at``, at a unix time.
        until: when a slot of its schedule passes, or something else that time alone changes.
    """

    job: Job
    scheduled: Scheduled
    due: float | None
    idle_status: JobStatus
    computed_at: float
    until: float


def condition(job: Job, state: JobState, active: ActiveRun | None) -> JobCondition:
    """The one word that says how a job is."""
    if active is not None and job.removal is None:
        return JobCondition.SYNCING
    if job.removal is not None:
        return JobCondition.REMOVING
    if job.disabled:
        return JobCondition.DISABLED
    if state.consecutive_failures > 0:
        return JobCondition.ERROR
    return JobCondition.OK if state.last_sync is not None else JobCondition.PENDING


def idle_status(
    job: Job, guest: Guest | None, source: str, state: JobState, *, due: float | None, rpo: float, passed: int
) -> JobStatus:
    """A job that does not run; slots that ``passed`` without a start count as missed before the next start comes."""
    return JobStatus(
        job=job,
        guest=guest,
        source=source,
        state=state,
        condition=condition(job, state, None),
        next_run=due,
        rpo=rpo,
        transfer=None,
        missed_runs=state.missed_runs + passed,
        sent_bytes_total=state.sent_bytes_total,
    )


def statuses(
    plan: Mapping[JobId, ScheduledJob], active: Mapping[JobId, ActiveRun], now: float
) -> tuple[JobStatus, ...]:
    """All jobs of a plan as they are now, in its order."""
    return tuple(
        _running(planned, active[job_id]) if job_id in active else _resting(planned, now)
        for job_id, planned in plan.items()
    )


def _resting(planned: ScheduledJob, now: float) -> JobStatus:
    drawn = planned.computed_at
    if drawn <= now < planned.until or drawn <= now < drawn + CACHE_SECONDS:
        return planned.idle_status
    known = planned.idle_status
    passed = slots_passed(planned.scheduled, planned.job, known.state, now)
    return replace(known, missed_runs=known.state.missed_runs + passed)


def _running(planned: ScheduledJob, active: ActiveRun) -> JobStatus:
    known, progress = planned.idle_status, active.progress
    return replace(
        known,
        condition=condition(planned.job, known.state, active),
        transfer=Transfer(
            run=active.run,
            start=active.start,
            step=progress.step,
            done_bytes=progress.done_bytes,
            expected_bytes=progress.expected_bytes,
            transferring=progress.transferring,
        ),
        missed_runs=known.state.missed_runs,
        sent_bytes_total=known.state.sent_bytes_total + progress.sent_bytes,
    )


def slots_passed(scheduled: Scheduled, job: Job, state: JobState, now: float) -> int:
    """How many slots of a job that does not run have passed without a start, and count as missed."""
    if job.disabled or job.removal:
        return 0
    return missed_runs(scheduled.event, scheduled.zone, state.slots_from, now)
