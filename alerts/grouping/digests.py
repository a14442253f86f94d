"""The digest: the condition of all jobs and the history of their runs, at a time of the day. Pure.

Its totals are added up in `alerts.render.digest_totals`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from alerts.grouping.notices import NoticeSource, subject_now
from alerts.notice import Notice, NoticeKind, Severity
from alerts.routing.routes import Match
from alerts.subject import Digest, DigestLine
from alerts.text import first_of
from replicator.api.job_status import JobHistory, JobStatus
from replicator.api.status import Status
from replicator.common.durations import words
from replicator.models import JobCondition, JobId
from replicator.schedule.scheduler import WEAK_SECONDS

LONGEST_PERIOD_SECONDS = 8 * 86_400.0
"""Seconds that a digest looks back at the most."""
MOST_NAMES = 6
"""Volumes, guests or jobs that a digest names in one sentence."""
COVERAGE, STATUS, DRILLS = "zsr coverage", "zsr status", "zsr guest drills"
"""The commands that show the others."""


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
        text="\n".join([*_left_out(status, match), *_off(jobs, now), *_weak(jobs), *_drills(status, match)]),
        digest=Digest(begin, now, lines),
    )


def _left_out(status: Status, match: Match) -> Iterator[str]:
    """Sentences about what no job replicates, of the guests of a route that is not about single jobs or targets."""
    if match.job or match.target:
        return
    known = {guest: each for guest, each in status.coverage.items() if not match.guest or guest in match.guest}
    if alone := [f"{guest} {each.name}".rstrip() for guest, each in known.items() if not each.jobs]:
        yield f"{'1 guest has' if len(alone) == 1 else f'{len(alone)} guests have'} no job: {_some(alone, COVERAGE)}."
    for what, excluded in (("not replicated", False), ("excluded by the settings", True)):
        volumes = [v for each in known.values() for v in each.uncovered if v.is_wanted == excluded]
        if names := [volume.dataset for volume in volumes]:
            count = "1 volume is" if len(names) == 1 else f"{len(names)} volumes are"
            yield f"{count} {what}: {_some(names, COVERAGE)}."


def _weak(jobs: Iterable[JobStatus]) -> Iterator[str]:
    if names := [str(job.job.id) for job in jobs if job.is_promised and job.rpo > WEAK_SECONDS]:
        days = f"{WEAK_SECONDS / 86_400:.0f} days"
        yield f"Promises of more than {days}: {_some(names, STATUS)}. Nothing warns before that."


def _drills(status: Status, match: Match) -> Iterator[str]:
    """Sentences about the drills of the guests of a route; none where no guest is drilled."""
    now = status.time
    found = [each for each in status.drills if match.wants_job(each.job, each.node)]
    failed = [each for each in found if each.has_failed]
    late = [each for each in found if each.is_overdue(now) and not each.has_failed]
    if found:
        passed = sum(each.last_pass is not None and not each.has_failed and not each.is_overdue(now) for each in found)
        yield f"Drills: {passed} of {len(found)} replicas of guests have passed in time."
    for what, some in (("failed", failed), ("overdue", late)):
        if names := [f"guest {each.guest} {each.guest_name}".rstrip() + f" on {each.node}" for each in some]:
            yield f"{'1 drill' if len(names) == 1 else f'{len(names)} drills'} {_WAS[what]}: {_some(names, DRILLS)}."


_WAS = {"failed": "failed last", "overdue": "passed too long ago, or never"}


def _off(jobs: Iterable[JobStatus], now: float) -> Iterator[str]:
    """Sentences about disabled jobs and the removals that wait for them, the longest first."""
    off = sorted(
        (job for job in jobs if job.is_disabled), key=lambda job: (job.state.disabled_since or now, job.job.id)
    )
    if kept := [_lasted(job, now) for job in off if job.job.removal is None]:
        yield f"{'1 job is' if len(kept) == 1 else f'{len(kept)} jobs are'} disabled: {_some(kept, STATUS)}."
    if leaving := [_lasted(job, now) for job in off if job.job.removal is not None]:
        count = "1 removal waits" if len(leaving) == 1 else f"{len(leaving)} removals wait"
        yield f"{count} because the job is disabled: {_some(leaving, STATUS)}. They go on after: zsr enable."


def _lasted(job: JobStatus, now: float) -> str:
    since = job.state.disabled_since
    facts = [] if since is None else [f"for {words(max(0.0, now - since))}"]
    off = job.disablement
    facts += [f"with node {off.node}"] if off and off.node else []
    facts += [f"for another {words(max(0.0, off.until - now))}"] if off and off.until is not None else []
    facts += [f"a half-received state waits on {job.job.target}"] if job.state.resume_pending else []
    return f"{job.job.id} ({', '.join(facts)})" if facts else str(job.job.id)


def _some(names: Sequence[str], where: str) -> str:
    return first_of(names, MOST_NAMES, where)


def _line(job: JobStatus, history: JobHistory | None, now: float) -> DigestLine:
    # With one restore point kept, the oldest is the last sync; of more, only the target knows.
    oldest = job.state.last_sync if job.job.keep.strip() == "1" else None
    return DigestLine(
        subject=subject_now(job),
        condition=_condition(job, now),
        runs=history.runs if history else 0,
        failures=history.failures if history else 0,
        sent_bytes=history.sent_bytes if history else 0,
        slowest=history.slowest if history else None,
        oldest_restore_point=oldest,
    )


def _condition(job: JobStatus, now: float) -> str:
    if job.condition in _WELL and job.promise(now).is_overdue:
        return "late"
    return "unconfirmed" if job.condition in _WELL and job.unconfirmed else str(job.condition)


_WELL = (JobCondition.OK, JobCondition.SYNCING, JobCondition.PENDING)


def _worst_first(jobs: Iterable[JobStatus], now: float) -> list[JobStatus]:
    def rank(job: JobStatus) -> tuple[bool, bool, float, JobId]:
        lag = now - job.state.last_sync if job.state.last_sync is not None else float("inf")
        late, failing = job.promise(now).is_overdue, job.state.consecutive_failures > 0
        return not late, not failing, -lag / max(job.rpo, 1.0), job.job.id

    return sorted(jobs, key=rank)
