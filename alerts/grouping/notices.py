"""Creates the notices of groups, with the facts of each job as they are now. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from alerts.grouping.flapping import SETTLED_SECONDS, STEADY, TIMES, WINDOW_SECONDS
from alerts.grouping.grouping import IncidentState, NotificationGroup, worst_lag
from alerts.notice import Notice, NoticeKind, Severity
from alerts.subject import Subject
from alerts.text import duration
from replicator.api.job_status import JobStatus
from replicator.api.status import Status
from replicator.errors import ErrorClass
from replicator.events import RunFailed, RunSucceeded
from replicator.models import JobId

_AGAIN_AND_AGAIN = (
    f"It began to fail {TIMES} times within {duration(WINDOW_SECONDS)}. From now on single failures and recoveries are "
    f"not reported; one message follows when it has not failed for {duration(SETTLED_SECONDS)}, or when it fails "
    f"{STEADY} times in a row."
)


@dataclass(frozen=True, slots=True)
class NoticeSource:
    """Where notices come from: the node and the target that they are made for, and the number of the next one."""

    node: str
    target: str
    number: int = 0

    def key(self, what: str, moment: float, number: int) -> str:
        """A key that no other notice has, even when ``state.db`` was lost and numbers start again."""
        return f"{self.node}/{self.target}/{what}/{int(moment)}-{number}"

    def notice(self, kind: NoticeKind, key: str, time: float) -> Notice:
        """A notice of the kind's own severity, in a thread of its own."""
        return Notice(key, kind, kind.facts.severity, time, self.node, key)

    def thread(self, name: str) -> str:
        """The thread of an incident, unique among all nodes and targets."""
        return f"{self.node}/{self.target}/{name}"


def subject_now(job: JobStatus) -> Subject:
    """The facts of a job now."""
    state, failure = job.state, job.state.failure
    return Subject(
        job=job.job.id,
        guest=job.job.id.guest,
        guest_name=job.guest.name if job.guest is not None else "",
        source=job.source,
        target=job.job.target,
        error_class=str(failure.error_class) if failure else "",
        message=failure.message if failure else "",
        advice=failure.advice if failure else "",
        consecutive=state.consecutive_failures,
        failing_since=state.failing_since,
        last_sync=state.last_sync,
        rpo=job.rpo,
        next_run=job.next_run,
        removing=job.job.removal is not None,
        lost=job.is_replica_lost,
    )


def worst_first(subjects: Iterable[Subject], now: float) -> tuple[Subject, ...]:
    """Subjects by the time left until their promise is broken; without a replica first, without a promise last."""

    def left(subject: Subject) -> tuple[float, JobId]:
        if subject.last_sync is None:
            return float("-inf"), subject.job
        return (float("inf") if subject.rpo is None else subject.last_sync + subject.rpo - now), subject.job

    return tuple(sorted(subjects, key=left))


def group_notice(group: NotificationGroup, status: Status, state: IncidentState, source: NoticeSource) -> Notice:
    """The notice of a group; ``state`` has the incidents after it."""
    number, first = group.events[0]
    thread = source.thread(group.thread or str(number))
    last = max(event.time for _, event in group.events)
    notice = Notice(
        key=source.key("run", first.time, number),
        kind=NoticeKind.RECOVERED,
        severity=Severity.INFO,
        time=first.time if group.is_failure else last,
        node=source.node,
        thread=thread,
    )
    if group.is_failure:
        return _failing(notice, group, status)
    if group.flapping:
        text = f"It had failed again and again, and has not failed for {duration(SETTLED_SECONDS)}."
        notice = replace(notice, time=status.time, text=text)
    open_still = any(incident.thread == group.thread != "" for incident in state.incidents.values())
    subjects = [_recovered(event, group, status) for _, event in group.events if isinstance(event, RunSucceeded)]
    back = group.node and len(subjects) > 1
    kind = NoticeKind.TARGET_BACK if back else NoticeKind.RECOVERED
    about = group.node if back else ""
    return replace(notice, kind=kind, about=about, opens=False, closes=not open_still, subjects=tuple(subjects))


def _failing(notice: Notice, group: NotificationGroup, status: Status) -> Notice:
    events = [event for _, event in group.events if isinstance(event, RunFailed)]
    subjects = [_failed(event, status) for event in events]
    reported = {subject.job for subject in subjects}
    along = [job for job in status.jobs if str(job.job.id) in group.along and job.job.id not in reported]
    subjects += [subject_now(job) for job in along]
    silent = events[0].error_class is ErrorClass.NETWORK and status.reachable.get(group.node) is False
    severity = Severity.CRITICAL if any(each.is_broken(status.time) for each in subjects) else Severity.WARNING
    unreported = [before is None or before.reported is None for before in group.incidents.values()]
    return replace(
        notice,
        kind=NoticeKind.FLAPPING
        if group.flapping
        else _kind(first=any(unreported), silent=silent, several=len(subjects) > 1, removing=subjects[0].removing),
        severity=severity,
        opens=all(unreported),
        subjects=worst_first(subjects, status.time),
        about=group.node if silent else "",
        text=_AGAIN_AND_AGAIN if group.flapping else _others(group, status, len(subjects)),
    )


def _kind(*, first: bool, silent: bool, several: bool, removing: bool) -> NoticeKind:
    if silent and several:
        return NoticeKind.TARGET_UNREACHABLE
    if removing:
        return NoticeKind.REMOVAL_STUCK
    return NoticeKind.FAILED if first else NoticeKind.STILL_FAILING


def _others(group: NotificationGroup, status: Status, listed: int) -> str:
    """A sentence about the jobs to the node at fault that have not failed yet; empty if there are none."""
    if not group.node or listed < 2:
        return ""
    there = sum(job.job.target == group.node and not job.is_disabled for job in status.jobs)
    if there <= listed:
        return ""
    return f"{there} jobs replicate to {group.node}; none of the others is reported separately."


def _failed(event: RunFailed, status: Status) -> Subject:
    job = status.job(event.job)
    known = subject_now(job) if job is not None else bare_subject(event.job, status)
    return replace(
        known,
        run=event.run,
        error_class=str(event.error_class),
        message=event.message,
        advice=event.advice,
        consecutive=event.consecutive,
        failing_since=event.failing_since,
        last_sync=known.last_sync if job is not None else event.last_sync,
        next_run=known.next_run if job is not None else event.next_run,
    )


def _recovered(event: RunSucceeded, group: NotificationGroup, status: Status) -> Subject:
    job = status.job(event.job)
    known = subject_now(job) if job is not None else bare_subject(event.job, status)
    return replace(
        known,
        run=event.run,
        error_class="",
        message="",
        advice="",
        consecutive=event.recovered_after,
        failing_since=event.failing_since,
        last_sync=event.last_sync,
        lost=False,
        worst_lag=worst_lag(event, group.incidents.get(str(event.job))),
    )


def bare_subject(job: JobId, status: Status) -> Subject:
    """A job that does not exist any more: only its ID is known."""
    return Subject(job=job, guest=job.guest, guest_name="", source=status.node, target="")
