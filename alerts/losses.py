"""What runs found gone: lost replicas, reported until they are whole again, and vanished volumes. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from alerts.notice import Notice, NoticeKind, Severity
from alerts.noticing import Sender, subject_now, worst_first
from alerts.routes import Match
from alerts.watching import LOST, Alarm, Alarms
from replicator.events import Event, ReplicaLost, RunSucceeded, VolumesVanished
from replicator.jobs import JobId
from replicator.plugins import Status

LISTED = 20
"""Replicas that a message names."""


def note_losses(
    events: Iterable[tuple[int, Event]], alarms: Alarms, wants: Callable[[JobId], bool]
) -> dict[str, Alarm]:
    """The alarms with the lost replicas of a batch of events; those of which a run has succeeded since are over.

    It is the success that ends one, not the core's picture, which may be a moment older than the event.
    """
    known = dict(alarms)
    for _, event in events:
        name = f"{LOST}/{event.job}"
        match event:
            case ReplicaLost() if wants(event.job):
                age = max(0.0, event.time - event.last_sync)
                known[name] = replace(known.get(name, Alarm(event.time, lag=age)), gone=None)
            case RunSucceeded() if name in known:
                known[name] = replace(known[name], gone=event.time)
    return known


def vanished_notice(events: Iterable[tuple[int, Event]], status: Status, match: Match, sender: Sender) -> Notice | None:
    """One notice of all volumes that a batch of events says are gone; None if no job of theirs is wanted."""
    jobs = {job.job.id: job for job in status.jobs if match.wants_job(job.job.id, job.job.target)}
    found = [(number, event) for number, event in events if isinstance(event, VolumesVanished) and event.job in jobs]
    if not found:
        return None
    number, first = found[0]
    lines = [f"Job {each.job}, on {jobs[each.job].job.target}: {name}" for _, each in found for name in each.volumes]
    more = [f"and {len(lines) - LISTED} more: zsr check"] if len(lines) > LISTED else []
    key = sender.key("vanished", first.time, number)
    return Notice(
        key=key,
        kind=NoticeKind.VOLUMES_VANISHED,
        severity=Severity.WARNING,
        time=first.time,
        node=sender.node,
        thread=key,
        subjects=worst_first((subject_now(jobs[job]) for job in {each.job for _, each in found}), status.time),
        text="\n".join([*lines[:LISTED], *more]),
    )
