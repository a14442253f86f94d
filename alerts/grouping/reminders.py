"""What comes at a time of the day: the reminder of all that still fails, and the digest of how all jobs are. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import tzinfo

from alerts.grouping.conditions import LOST, PROMISE, Conditions
from alerts.grouping.grouping import Incident
from alerts.grouping.notices import NoticeSource, subject_now, worst_first
from alerts.notice import Notice, NoticeKind, Severity
from alerts.routing.routes import Match, Repeat
from replicator.api.status import JobStatus, Status
from replicator.schedule.calendar import CalendarEvent

RECENT_SECONDS = 4 * 3600.0
"""Seconds for which a message counts as fresh, so that what it told of is not in the reminder."""


def slot_passed(event: CalendarEvent | None, since: float, now: float, zone: tzinfo) -> bool:
    """Whether a time of the day has come between two moments; once, however often it came."""
    following = event.next(since, zone) if event is not None else None
    return following is not None and following <= now


def reminder(
    status: Status,
    incidents: Mapping[str, Incident],
    alarms: Conditions,
    match: Match,
    repeat: Repeat,
    sender: NoticeSource,
) -> tuple[Notice | None, dict[str, Incident]]:
    """One notice of all that still fails and was not told lately, and the incidents as they are told with it."""
    now = status.time
    jobs = {str(job.job.id): job for job in status.jobs if match.wants_job(job.job.id, job.job.target)}
    failing = [
        job
        for name, incident in incidents.items()
        if (job := jobs.get(name)) and not job.job.disabled and _stale(incident.told, now) and _on_ladder(job, repeat)
    ]
    named = {str(job.job.id) for job in failing}
    late = [
        job
        for name, job in jobs.items()
        if name not in named
        and not job.job.disabled
        and any(_lasts(what, name, alarms, now) for what in (PROMISE, LOST))
    ]
    if not failing and not late:
        return None, dict(incidents)
    subjects = worst_first((subject_now(job) for job in (*failing, *late)), now)
    threads = {incidents[name].thread for name in named}
    only = next(iter(threads)) if len(threads) == 1 and not late else ""
    shared = f"still-{int(now)}"
    told = dict(incidents)
    for name in named:
        told[name] = replace(told[name], told=now, thread=told[name].thread or shared)
    notice = Notice(
        key=sender.key("still", now, sender.number),
        kind=NoticeKind.STILL_FAILING,
        severity=Severity.CRITICAL if any(each.is_broken(now) for each in subjects) else Severity.WARNING,
        time=now,
        node=sender.node,
        thread=sender.thread(only or shared),
        opens=not only,
        subjects=subjects,
    )
    return notice, told


def _lasts(what: str, job: str, alarms: Conditions, now: float) -> bool:
    """Whether a job's trouble goes on that was told, but not lately."""
    alarm = alarms.get(f"{what}/{job}")
    return alarm is not None and alarm.told is not None and alarm.gone is None and _stale(alarm.told, now)


def _stale(told: float | None, now: float) -> bool:
    return told is None or not 0 <= now - told < RECENT_SECONDS


def _on_ladder(job: JobStatus, repeat: Repeat) -> bool:
    return job.state.consecutive_failures >= min(repeat.failures, default=1)
