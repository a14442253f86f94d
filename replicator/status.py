"""The picture of this moment: cluster, states, schedule and runs put together into a `Status`. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from replicator.cluster.store import Cluster
from replicator.jobs import Job, JobCondition, JobId, JobState
from replicator.plugins import JobStatus, Transfer
from replicator.schedule import Scheduled, missed_runs, next_run
from replicator.worker import ActiveRun


@dataclass(frozen=True, slots=True)
class Planned:
    """A job with what the scheduler needs of it, and its promise in seconds."""

    job: Job
    scheduled: Scheduled
    rpo: float


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


def job_status(
    planned: Planned,
    cluster: Cluster,
    node: str,
    state: JobState,
    active: ActiveRun | None,
    now: float,
) -> JobStatus:
    """One job as it is now; slots that passed without a start count as missed before the next start comes."""
    job, scheduled = planned.job, planned.scheduled
    passed = 0
    if not (job.disabled or job.removal) and active is None:
        passed = missed_runs(scheduled.event, scheduled.zone, state.slots_from, now)
    return JobStatus(
        job=job,
        guest=cluster.guests.get(job.id.guest),
        source=cluster.source(job) or node,
        state=state,
        condition=condition(job, state, active),
        next_run=next_run(scheduled),
        rpo=planned.rpo,
        transfer=None if active is None else _transfer(active),
        missed_runs=state.missed_runs + passed,
        sent_bytes_total=state.sent_bytes_total + (0 if active is None else active.progress.sent_bytes),
    )


def _transfer(active: ActiveRun) -> Transfer:
    progress = active.progress
    return Transfer(
        run=active.run,
        start=active.start,
        step=progress.step,
        done_bytes=progress.done_bytes,
        expected_bytes=progress.expected_bytes,
        transferring=progress.transferring,
    )


def statuses(
    plan: Mapping[JobId, Planned],
    cluster: Cluster,
    node: str,
    states: Mapping[JobId, JobState],
    active: Mapping[JobId, ActiveRun],
    now: float,
) -> tuple[JobStatus, ...]:
    """All jobs of this node as they are now, by id."""
    return tuple(
        job_status(planned, cluster, node, states.get(job_id) or JobState(created=now), active.get(job_id), now)
        for job_id, planned in sorted(plan.items())
    )
