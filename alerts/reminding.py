"""What comes at a time of the day: the reminder of all that still fails, and the digest of how all jobs are. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import tzinfo

from alerts.notice import Digest, DigestLine, Notice, NoticeKind, Severity
from alerts.noticing import Sender, is_late, lacks_copy, subject_now, worst_first
from alerts.policy import Incident
from alerts.routes import Match, Repeat
from alerts.watching import LOST, PROMISE, Alarms
from replicator.calendar import CalendarEvent
from replicator.jobs import JobCondition, JobId
from replicator.plugins import JobHistory, JobStatus, Status

FRESH = 4 * 3600.0
"""Seconds for which a message counts as fresh, so that what it told of is not in the reminder."""
LONGEST = 8 * 86_400.0
"""Seconds that a digest looks back at the most."""


def slot_passed(event: CalendarEvent | None, since: float, now: float, zone: tzinfo) -> bool:
    """Whether a time of the day has come between two moments; once, however often it came."""
    following = event.next(since, zone) if event is not None else None
    return following is not None and following <= now


def reminder(
    status: Status,
    incidents: Mapping[str, Incident],
    alarms: Alarms,
    match: Match,
    repeat: Repeat,
    sender: Sender,
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


def digest(status: Status, histories: Mapping[JobId, JobHistory], begin: float, match: Match, sender: Sender) -> Notice:
    """How all jobs are that a route is about, and what their runs came to since a moment (unix time)."""
    now = status.time
    begin = max(begin, now - LONGEST)
    jobs = [job for job in status.jobs if match.wants_job(job.job.id, job.job.target)]
    lines = tuple(_line(job, histories.get(job.job.id), now) for job in _worst_first(jobs, now))
    key = sender.key("digest", now, sender.number)
    return Notice(
        key=key,
        kind=NoticeKind.DIGEST,
        severity=Severity.INFO,
        time=now,
        node=sender.node,
        thread=key,
        digest=Digest(begin, now, lines),
    )


def _line(job: JobStatus, history: JobHistory | None, now: float) -> DigestLine:
    # With one restore point kept, the oldest is the last sync; of more, only the target knows.
    oldest = job.state.last_sync if job.job.keep.strip() == "1" else None
    return DigestLine(
        subject=subject_now(job),
        condition="late" if job.condition in _WELL and _is_not_kept(job, now) else str(job.condition),
        runs=history.runs if history else 0,
        failures=history.failures if history else 0,
        sent_bytes=history.sent_bytes if history else 0,
        slowest=history.slowest if history else None,
        oldest_restore_point=oldest,
    )


_WELL = (JobCondition.OK, JobCondition.SYNCING, JobCondition.PENDING)


def _worst_first(jobs: Iterable[JobStatus], now: float) -> list[JobStatus]:
    def rank(job: JobStatus) -> tuple[bool, bool, float, JobId]:
        lag = now - job.state.last_sync if job.state.last_sync is not None else float("inf")
        return not _is_not_kept(job, now), job.state.consecutive_failures == 0, -lag / max(job.rpo, 1.0), job.job.id

    return sorted(jobs, key=rank)


def _is_not_kept(job: JobStatus, now: float) -> bool:
    return is_late(job, now) or lacks_copy(job, now)


def _lasts(what: str, job: str, alarms: Alarms, now: float) -> bool:
    """Whether a job's trouble goes on that was told, but not lately."""
    alarm = alarms.get(f"{what}/{job}")
    return alarm is not None and alarm.told is not None and alarm.gone is None and _stale(alarm.told, now)


def _stale(told: float | None, now: float) -> bool:
    return told is None or not 0 <= now - told < FRESH


def _on_ladder(job: JobStatus, repeat: Repeat) -> bool:
    return job.state.consecutive_failures >= min(repeat.failures, default=1)
