"""Losses that runs found: lost replicas, which last until there is a complete one again, and vanished volumes. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from alerts.grouping.conditions import LOST, Condition, Conditions
from alerts.grouping.notices import NoticeSource, subject_now, worst_first
from alerts.notice import Notice, NoticeKind, Severity
from alerts.routing.routes import Match
from replicator.api.status import Status
from replicator.events import Event, ReplicaLost, RunSucceeded, VolumesVanished
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


def vanished_notice(
    events: Iterable[tuple[int, Event]], status: Status, match: Match, source: NoticeSource
) -> Notice | None:
    """One notice of all volumes that vanished in a batch of events; None if the route wants none of their jobs."""
    jobs = {job.job.id: job for job in status.jobs if match.wants_job(job.job.id, job.job.target)}
    found = [(number, event) for number, event in events if isinstance(event, VolumesVanished) and event.job in jobs]
    if not found:
        return None
    number, first = found[0]
    lines = [f"Job {each.job}, on {jobs[each.job].job.target}: {name}" for _, each in found for name in each.volumes]
    more = [f"and {len(lines) - LISTED} more: zsr check"] if len(lines) > LISTED else []
    key = source.key("vanished", first.time, number)
    return Notice(
        key=key,
        kind=NoticeKind.VOLUMES_VANISHED,
        severity=Severity.WARNING,
        time=first.time,
        node=source.node,
        thread=key,
        subjects=worst_first((subject_now(jobs[job]) for job in {each.job for _, each in found}), status.time),
        text="\n".join([*lines[:LISTED], *more]),
    )
