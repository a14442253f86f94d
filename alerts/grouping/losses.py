"""Losses that runs found: lost replicas, which last until there is a complete one again, and vanished volumes. Pure.

A vanished volume has up to three notices: when it is gone, a day before its replica is destroyed, and after that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from alerts.grouping.conditions import LOST, Condition, Conditions
from alerts.grouping.notices import NoticeSource, subject_now, worst_first
from alerts.notice import Notice, NoticeKind
from alerts.routing.routes import Match
from alerts.text import duration
from replicator.api.job_status import JobStatus
from replicator.api.status import Status
from replicator.events import (
    Event,
    GraceEnded,
    GraceEnding,
    GuestReplaced,
    ReplicaLost,
    RunSucceeded,
    SourceWentBack,
    VolumesVanished,
)
from replicator.models import JobId

LISTED = 20
"""Replicas that a message names."""


def record_losses(
    events: Iterable[tuple[int, Event]], conditions: Conditions, wants: Callable[[JobId], bool]
) -> dict[str, Condition]:
    """The conditions with the lost replicas of a batch of events; a success of the job's run ends one.

    The status does not end one, since it may be a moment older than the event.
    """
    known = dict(conditions)
    for _, event in events:
        name = f"{LOST}/{event.job}"
        match event:
            case ReplicaLost() if wants(event.job):
                age = max(0.0, event.time - event.last_sync)
                known[name] = replace(known.get(name, Condition(event.time, lag=age)), gone=None)
            case RunSucceeded() if name in known:
                known[name] = replace(known[name], gone=event.time)
    return known


_Vanishing = VolumesVanished | GraceEnding | GraceEnded | GuestReplaced | SourceWentBack
_KINDS: Mapping[type[_Vanishing], tuple[str, NoticeKind]] = {
    VolumesVanished: ("vanished", NoticeKind.VOLUMES_VANISHED),
    GraceEnding: ("grace-ending", NoticeKind.GRACE_ENDING),
    GraceEnded: ("grace-ended", NoticeKind.GRACE_ENDED),
    GuestReplaced: ("replaced", NoticeKind.GUEST_REPLACED),
    SourceWentBack: ("went-back", NoticeKind.SOURCE_WENT_BACK),
}
"""The notice of each event, and the word in its key."""


def vanished_notices(
    events: Iterable[tuple[int, Event]], status: Status, match: Match, source: NoticeSource
) -> list[Notice]:
    """The notices of all volumes that vanished in a batch of events, and of the ends of their graces.

    One of each kind, without jobs that the route does not want.
    """
    jobs = {job.job.id: job for job in status.jobs if match.wants_job(job.job.id, job.job.target)}
    wanted = [(number, event) for number, event in events if isinstance(event, _Vanishing) and event.job in jobs]
    return [
        _vanished_notice(kind, found, jobs, status.time, source)
        for kind in _KINDS
        if (found := [(number, event) for number, event in wanted if isinstance(event, kind)])
    ]


def _vanished_notice(
    of: type[_Vanishing],
    found: Sequence[tuple[int, _Vanishing]],
    jobs: Mapping[JobId, JobStatus],
    now: float,
    source: NoticeSource,
) -> Notice:
    number, first = found[0]
    what, kind = _KINDS[of]
    lines = [
        f"Job {each.job}, on {jobs[each.job].job.target}: {name}{_more(each)}"
        for _, each in found
        for name in each.volumes
    ]
    more = [f"and {len(lines) - LISTED} more: zsr check"] if len(lines) > LISTED else []
    key = source.key(what, first.time, number)
    return replace(
        source.notice(kind, key, first.time),
        subjects=worst_first((subject_now(jobs[job]) for job in {each.job for _, each in found}), now),
        text="\n".join([*lines[:LISTED], *more]),
    )


def _more(event: _Vanishing) -> str:
    if isinstance(event, SourceWentBack):
        count = f"{event.sets} set{'' if event.sets == 1 else 's'}"
        return f", {count} newer than the source, the newest {duration(max(0.0, event.time - event.newest))} old"
    end = event.end if isinstance(event, VolumesVanished | GraceEnding) else None
    return "" if end is None else f", destroyed in {duration(max(0.0, end - event.time))}"
