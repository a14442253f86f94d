"""The digest: the condition of all jobs, and the totals of their runs, at a time of the day. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from alerts.grouping.notices import NoticeSource, subject_now
from alerts.notice import Digest, DigestLine, Notice, NoticeKind, Severity
from alerts.routing.routes import Match
from replicator.api.status import JobHistory, JobStatus, Status
from replicator.models import JobCondition, JobId

LONGEST_PERIOD_SECONDS = 8 * 86_400.0
"""Seconds that a digest looks back at the most."""


def digest(
    status: Status, histories: Mapping[JobId, JobHistory], begin: float, match: Match, source: NoticeSource
) -> Notice:
    """The condition of all jobs of a route, and the totals of their runs since ``begin`` (unix time)."""
    now = status.time
    begin = max(begin, now - LONGEST_PERIOD_SECONDS)
    jobs = [job for job in status.jobs if match.wants_job(job.job.id, job.job.target)]
    lines = tuple(_line(job, histories.get(job.job.id), now) for job in _worst_first(jobs, now))
    key = source.key("digest", now, source.number)
    return Notice(
        key=key,
        kind=NoticeKind.DIGEST,
        severity=Severity.INFO,
        time=now,
        node=source.node,
        thread=key,
        digest=Digest(begin, now, lines),
    )


def _line(job: JobStatus, history: JobHistory | None, now: float) -> DigestLine:
    # With one restore point kept, the oldest is the last sync; of more, only the target knows.
    oldest = job.state.last_sync if job.job.keep.strip() == "1" else None
    return DigestLine(
        subject=subject_now(job),
        condition="late" if job.condition in _WELL and _is_late(job, now) else str(job.condition),
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
        return not _is_late(job, now), job.state.consecutive_failures == 0, -lag / max(job.rpo, 1.0), job.job.id

    return sorted(jobs, key=rank)


def _is_late(job: JobStatus, now: float) -> bool:
    """Whether the job has no copy as fresh as promised, also while the first one is being sent."""
    return job.is_promised and job.is_overdue(now)
