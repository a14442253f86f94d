"""Makes each job's `ScheduledJob` from cluster and state: its due time, its promise and its idle status. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import tzinfo
from functools import lru_cache
from math import inf

from replicator.api.job_status import Disablement
from replicator.cluster.disabling import disablement
from replicator.cluster.model import Cluster
from replicator.common.clocks import CLOCK_SLACK_SECONDS
from replicator.common.timezones import zone
from replicator.daemon.status import ScheduledJob, idle_status, slots_passed
from replicator.errors import ErrorClass
from replicator.models import Guest, Job, JobId, JobState
from replicator.replication.target_place import address_of, is_edited
from replicator.schedule.calendar import CalendarEvent
from replicator.schedule.scheduler import Scheduled, next_run, rpo

_YEAR_SECONDS = 365 * 86400.0


def plan_jobs(
    cluster: Cluster,
    node: str,
    states: Mapping[JobId, JobState],
    *,
    default_zone: tzinfo,
    answered: Mapping[str, float],
    now: float,
    before: Mapping[JobId, ScheduledJob] | None = None,
) -> dict[JobId, ScheduledJob]:
    """Return the jobs of a node, by id, with all that the scheduler and the status need.

    Args:
        cluster: gives the jobs and their guests.
        node: the node's name.
        states: the states of its jobs; a job without one is new.
        default_zone: the zone of schedules that name none.
        answered: since when targets answer again that did not answer once.
        now: unix time.
        before: an earlier plan, of which all is kept that still holds: of thousands of jobs few change at a time.
    """
    known = before or {}
    plan = {}
    for job in cluster.jobs_of(node):
        state = states.get(job.id) or JobState(created=now)
        guest = cluster.guests.get(job.id.guest)
        source = guest.node if guest else node
        its_zone = zone(job.timezone) if job.timezone else default_zone
        since = _answered_since(state, answered.get(job.target))
        off = disablement(cluster, job, now)
        planned = known.get(job.id)
        if planned is None or not _holds(planned, job, guest, source, state, its_zone, since, now, off=off):
            edited = is_edited(state.place, job.target, address_of(cluster.nodes.get(job.target)), cluster.storages)
            left = guest is None and _is_anothers(cluster, job, node, state)
            planned = _plan(job, guest, source, state, its_zone, since, now, unconfirmed=edited, left=left, off=off)
        plan[job.id] = planned
    return plan


def _is_anothers(cluster: Cluster, job: Job, node: str, state: JobState) -> bool:
    """Return whether a job without a guest is left to the node that had the guest: this one never ran it.

    It would find nothing of the job here, and the job would be gone before its source's snapshots.
    """
    others = cluster.nodes.keys() - {node, job.target}
    return bool(others) and not (state.runs_succeeded or state.last_sync or state.sets.taken)


def _answered_since(state: JobState, at: float | None) -> float | None:
    """Return since when a target answers that did not at the last attempt; None if the last attempt knew that."""
    unreachable = state.failure is not None and state.failure.error_class in (ErrorClass.NETWORK, ErrorClass.AUTH)
    return at if unreachable and at is not None and at > state.last_start else None


def _holds(
    planned: ScheduledJob,
    job: Job,
    guest: Guest | None,
    source: str,
    state: JobState,
    its_zone: tzinfo,
    answered_at: float | None,
    now: float,
    *,
    off: Disablement | None,
) -> bool:
    """Return whether a job would be planned the same again; identical objects need no comparison of their facts.

    The nodes and storages of a cluster are read together with its jobs.
    """
    idle, scheduled = planned.idle_status, planned.scheduled
    return (
        idle.state is state
        and idle.job is job
        and idle.guest is guest
        and idle.source == source
        and idle.disablement == off
        and scheduled.zone is its_zone
        and scheduled.answered_at == answered_at
        and planned.computed_at <= now < planned.until
    )


def _plan(
    job: Job,
    guest: Guest | None,
    source: str,
    state: JobState,
    its_zone: tzinfo,
    answered_at: float | None,
    now: float,
    *,
    unconfirmed: bool,
    left: bool,
    off: Disablement | None,
) -> ScheduledJob:
    event = CalendarEvent.parse(job.schedule)
    year = now // _YEAR_SECONDS * _YEAR_SECONDS
    scheduled = Scheduled(
        id=job.id,
        event=event,
        zone=its_zone,
        last_try=state.last_try if state.last_try <= now + CLOCK_SLACK_SECONDS else 0.0,
        consecutive_failures=state.consecutive_failures,
        disabled=off is not None or left,
        removing=job.removal is not None,
        target=job.target,
        answered_at=answered_at,
    )
    due = next_run(scheduled)
    passed, next_slot = _slots(scheduled, job, state, due, now)
    promise = _promise(job.schedule, job.rpo, year)
    idle = idle_status(job, guest, source, state, due=due, rpo=promise, passed=passed, unconfirmed=unconfirmed, off=off)
    distrusted = state.last_try - CLOCK_SLACK_SECONDS if state.last_try > now + CLOCK_SLACK_SECONDS else inf
    return ScheduledJob(job, scheduled, due, idle, now, min(year + _YEAR_SECONDS, next_slot, distrusted))


def _slots(scheduled: Scheduled, job: Job, state: JobState, due: float | None, now: float) -> tuple[int, float]:
    """Return how many slots have passed without a start, and when the next one may pass."""
    if state.slots_from <= 0:
        return 0, inf
    on_schedule = not (scheduled.disabled or job.removal or scheduled.consecutive_failures)
    if on_schedule and scheduled.last_try == state.slots_from and due is not None and due > now:
        return 0, due  # the usual case: being due is the first slot since then, which need not be computed again
    passed = slots_passed(scheduled, job, state, now)
    return passed, scheduled.event.next(max(now, state.slots_from), scheduled.zone) or inf


@lru_cache(maxsize=4096)
def _promise(schedule: str, own: float | None, at: float) -> float:
    """Return the promise of a schedule as of the year's beginning, so that it does not change from day to day."""
    return rpo(CalendarEvent.parse(schedule), own, at)
