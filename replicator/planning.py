"""From cluster and memory to what the scheduler asks for: each job's `Scheduled` and its promise. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import tzinfo
from functools import lru_cache

from replicator.calendar import CalendarEvent
from replicator.cluster.store import Cluster
from replicator.errors import ErrorClass
from replicator.jobs import Job, JobId, JobState
from replicator.schedule import Scheduled, rpo
from replicator.status import Planned
from replicator.zones import zone

CLOCK_SLACK = 60.0
"""Seconds that the last try may lie in the future; a try from later than that was noted by a clock that was wrong,
and the job is due at once instead of when that time comes again."""

_YEAR = 365 * 86400.0


def plan_jobs(
    cluster: Cluster,
    node: str,
    states: Mapping[JobId, JobState],
    *,
    default_zone: tzinfo,
    answered: Mapping[str, float],
    now: float,
) -> dict[JobId, Planned]:
    """What the scheduler needs of every job of a node.

    ``answered`` holds, for targets that did not answer once and do so again, since when.
    """
    return {
        job.id: _planned(job, states.get(job.id) or JobState(created=now), default_zone, answered.get(job.target), now)
        for job in cluster.jobs_of(node)
    }


def _planned(job: Job, state: JobState, default_zone: tzinfo, answered_at: float | None, now: float) -> Planned:
    its_zone = zone(job.timezone) if job.timezone else default_zone
    event = CalendarEvent.parse(job.schedule)
    unreachable = state.failure is not None and state.failure.error_class is ErrorClass.NETWORK
    news = answered_at is not None and answered_at > state.last_start
    scheduled = Scheduled(
        id=job.id,
        event=event,
        zone=its_zone,
        last_try=state.last_try if state.last_try <= now + CLOCK_SLACK else 0.0,
        consecutive_failures=state.consecutive_failures,
        disabled=job.disabled,
        removing=job.removal is not None,
        target=job.target,
        answered_at=answered_at if unreachable and news else None,
    )
    return Planned(job, scheduled, _promise(job.schedule, job.rpo, now // _YEAR * _YEAR))


@lru_cache(maxsize=4096)
def _promise(schedule: str, own: float | None, at: float) -> float:
    """The promise of a schedule; looked at from the year's beginning, so that it does not change from day to day."""
    return rpo(CalendarEvent.parse(schedule), own, at)
