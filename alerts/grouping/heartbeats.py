"""The heartbeat: a short message at a time of the day, also when nothing happened, so that silence is noticed. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import tzinfo

from alerts.grouping.notices import NoticeSource
from alerts.notice import Notice, NoticeKind
from alerts.routing.routes import Match
from alerts.text import clock_time, first_of
from replicator.api.job_status import JobStatus
from replicator.api.promise import Promise
from replicator.api.status import Status

LISTED = 10
"""Jobs that are named of those that are not kept."""


def heartbeat(status: Status, match: Match, source: NoticeSource, zone: tzinfo) -> Notice:
    """How many jobs of a route there are, and of how many the promise is kept now."""
    now = status.time
    jobs = [job for job in status.jobs if match.wants_job(job.job.id, job.job.target)]
    key = source.key("heartbeat", now, source.number)
    return replace(
        source.notice(NoticeKind.HEARTBEAT, key, now),
        about=_counted(jobs, now),
        text="\n".join([f"Checked at {clock_time(now, zone)}.", *_remarks(status, jobs)]),
    )


def _counted(jobs: Iterable[JobStatus], now: float) -> str:
    """``12 jobs, 12 kept``, and the others by what they are: kept is only a proven copy as fresh as promised."""
    words = [_standing(job, now) for job in jobs]
    order = ("kept", "not kept", "without a proven copy yet", "without a promise")
    counts = [(each, words.count(each)) for each in order]
    many = f"{len(words)} job{'' if len(words) == 1 else 's'}"
    return ", ".join([many, *(f"{count} {each}" for each, count in counts if count or (each == "kept" and words))])


def _standing(job: JobStatus, now: float) -> str:
    match job.promise(now):
        case Promise.NONE:
            return "without a promise"
        case Promise.KEPT:
            return "kept"
        case Promise.AWAITED:
            return "without a proven copy yet"
    return "not kept"


def _remarks(status: Status, jobs: Iterable[JobStatus]) -> list[str]:
    bad = [str(job.job.id) for job in jobs if _standing(job, status.time) == "not kept"]
    remarks = [f"Not kept: {first_of(bad, LISTED)}."] if bad else []
    return remarks if status.ready else [*remarks, "The daemon is not ready; it does not know all jobs yet."]
