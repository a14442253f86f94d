"""The reminder of all that still fails, at a time of the day. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import tzinfo

from alerts.grouping.conditions import LOST, PROMISE, Conditions
from alerts.grouping.grouping import Incident
from alerts.grouping.notices import NoticeSource, subject_now, worst_first
from alerts.notice import Notice, NoticeKind, Severity
from alerts.routing.routes import Match, Repeat
from replicator.api.job_status import JobStatus
from replicator.api.status import Status
from replicator.schedule.calendar import CalendarEvent

RECENT_SECONDS = 4 * 3600.0
"""Seconds for which a message counts as recent, so that the reminder leaves its jobs out."""


def slot_passed(event: CalendarEvent | None, since: float, now: float, zone: tzinfo) -> bool:
    """Whether a time of the day has come between two moments; once, however often it came."""
    following = event.next(since, zone) if event is not None else None
    return following is not None and following <= now


def reminder(
    status: Status,
    incidents: Mapping[str, Incident],
    conditions: Conditions,
    match: Match,
    repeat: Repeat,
    source: NoticeSource,
) -> tuple[Notice | None, dict[str, Incident]]:
    """One notice of all that still fails and was not reported lately, and the incidents after it."""
    now = status.time
    jobs = {str(job.job.id): job for job in status.jobs if match.wants_job(job.job.id, job.job.target)}
    active = {name: job for name, job in jobs.items() if not job.is_disabled}
    failing = _failing(active, incidents, repeat, now)
    late = _late({name: job for name, job in active.items() if name not in failing}, conditions, now)
    if not failing and not late:
        return None, dict(incidents)
    subjects = worst_first((subject_now(job) for job in (*failing.values(), *late)), now)
    threads = {incidents[name].thread for name in failing}
    only = next(iter(threads)) if len(threads) == 1 and not late else ""
    shared = f"still-{int(now)}"
    notice = Notice(
        key=source.key("still", now, source.number),
        kind=NoticeKind.STILL_FAILING,
        severity=Severity.CRITICAL if any(each.is_broken(now) for each in subjects) else Severity.WARNING,
        time=now,
        node=source.node,
        thread=source.thread(only or shared),
        opens=not only,
        subjects=subjects,
    )
    return notice, _reported(failing, incidents, now, shared)


def _failing(
    jobs: Mapping[str, JobStatus], incidents: Mapping[str, Incident], repeat: Repeat, now: float
) -> dict[str, JobStatus]:
    """The jobs with an incident that was not reported lately and has reached the first step of the ladder."""
    return {
        name: jobs[name]
        for name, incident in incidents.items()
        if name in jobs and _is_stale(incident.reported, now) and _on_ladder(jobs[name], repeat)
    }


def _late(jobs: Mapping[str, JobStatus], conditions: Conditions, now: float) -> list[JobStatus]:
    """The jobs with a broken promise or a lost replica that was reported, but not lately."""
    return [
        job for name, job in jobs.items() if any(_lasts(f"{what}/{name}", conditions, now) for what in (PROMISE, LOST))
    ]


def _reported(jobs: Collection[str], incidents: Mapping[str, Incident], now: float, thread: str) -> dict[str, Incident]:
    """The incidents with those of some jobs reported now, in a thread if they have none."""
    return {
        name: replace(incident, reported=now, thread=incident.thread or thread) if name in jobs else incident
        for name, incident in incidents.items()
    }


def _lasts(name: str, conditions: Conditions, now: float) -> bool:
    """Whether a condition lasts that was reported, but not lately."""
    condition = conditions.get(name)
    return (
        condition is not None
        and condition.reported is not None
        and condition.gone is None
        and _is_stale(condition.reported, now)
    )


def _is_stale(reported: float | None, now: float) -> bool:
    return reported is None or not 0 <= now - reported < RECENT_SECONDS


def _on_ladder(job: JobStatus, repeat: Repeat) -> bool:
    return job.state.consecutive_failures >= min(repeat.failures, default=1)
