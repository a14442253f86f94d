"""Jobs that are gone from the cluster though nobody removed them: one notice for all of a batch. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from alerts.grouping.notices import NoticeSource, worst_first
from alerts.notice import Notice, NoticeKind
from alerts.routing.routes import Match
from alerts.subject import Subject
from replicator.api.status import Status
from replicator.events import Event, JobVanished


def vanished_jobs_notice(
    events: Iterable[tuple[int, Event]], status: Status, match: Match, source: NoticeSource
) -> Notice | None:
    """The notice of the jobs that vanished in a batch of events, without those that the route does not want."""
    found = [
        (number, event)
        for number, event in events
        if isinstance(event, JobVanished) and match.wants_job(event.job, event.target)
    ]
    if not found:
        return None
    number, first = found[0]
    key = source.key("job-vanished", first.time, number)
    return replace(
        source.notice(NoticeKind.JOB_VANISHED, key, first.time),
        subjects=worst_first((_subject(event, status) for _, event in found), status.time),
    )


def _subject(event: JobVanished, status: Status) -> Subject:
    """The job as its event has it: the status knows nothing of it any more but the name of its guest."""
    guest = event.job.guest
    name = status.coverage[guest].name if guest in status.coverage else ""
    return Subject(event.job, guest, name, status.node, event.target, last_sync=event.last_sync)
