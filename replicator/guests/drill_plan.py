"""When guests are drilled, and what the status says of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import tzinfo

from replicator.api.drills import LONGEST_WITHOUT_SECONDS, GuestDrills
from replicator.cluster.disabling import disablement
from replicator.cluster.model import Cluster
from replicator.common.clocks import CLOCK_SLACK_SECONDS
from replicator.models import Guest, GuestId, Job, JobId
from replicator.schedule.calendar import CalendarEvent
from replicator.state.drills import KnownDrill

RETRY_SECONDS = 3600.0
"""Seconds after which a scheduled drill that could not be done is tried again."""
GAPS = 1.5
"""How many of its longest gaps a schedule may be without a drill that passes, where that is more than 30 days."""

Known = Mapping[tuple[GuestId, str], KnownDrill]
"""What is known of drills, by guest and target."""


def drilled_jobs(cluster: Cluster, node: str) -> list[tuple[Job, Guest]]:
    """Return the jobs of a node's guests whose targets can be drilled, by id."""
    jobs = [job for _, job in sorted(cluster.jobs.items()) if job.removal is None]
    found = [(job, cluster.guests.get(job.id.guest)) for job in jobs]
    return [
        (job, guest) for job, guest in found if guest is not None and guest.node == node and guest.node != job.target
    ]


def next_drill(guest: Guest, known: KnownDrill | None, zone: tzinfo, now: float) -> float | None:
    """Return when a guest is to be drilled on a target (unix time); None: it has no schedule, or is not known yet.

    It is the first event after the last attempt, or after the schedule was made. One that could not be done is tried
    again sooner. A time in the future, by a clock that was wrong then, does not count.
    """
    if guest.drill is None or known is None or known.scheduled is None:
        return None
    last = max(time for time in (known.last_try, known.scheduled, 0.0) if time <= now + CLOCK_SLACK_SECONDS)
    due = CalendarEvent.parse(guest.drill).next(last, zone)
    if known.obstacle is not None and known.last_try <= now + CLOCK_SLACK_SECONDS:
        return min(known.last_try + RETRY_SECONDS, due or known.last_try + RETRY_SECONDS)
    return due


def due_drills(cluster: Cluster, node: str, known: Known, zone: tzinfo, now: float) -> list[Job]:
    """Return the jobs whose guests are to be drilled on their targets now, the longest overdue first."""
    found = []
    for job, guest in drilled_jobs(cluster, node):
        when = next_drill(guest, known.get((guest.id, job.target)), zone, now)
        if when is not None and when <= now and disablement(cluster, job, now) is None:
            found.append((when, job.id, job))
    return [job for _, _, job in sorted(found, key=lambda each: each[:2])]


def limit_of(guest: Guest, now: float) -> float:
    """Return how many seconds a drill of a guest that passes may be awaited."""
    gap = None if guest.drill is None else CalendarEvent.parse(guest.drill).longest_gap(now)
    return max(LONGEST_WITHOUT_SECONDS, GAPS * (gap or 0.0))


def guest_drills(
    cluster: Cluster, node: str, known: Iterable[KnownDrill], zone: tzinfo, now: float, running: JobId | None = None
) -> Iterator[GuestDrills]:
    """Yield the drills of a node's guests on their targets: of those that have a schedule, or were ever drilled.

    ``running`` is the job whose drill goes on.
    """
    by_place = {(each.guest, each.node): each for each in known}
    for job, guest in drilled_jobs(cluster, node):
        each = by_place.get((guest.id, job.target))
        if each is None or (guest.drill is None and not each.last_try):
            continue
        yield GuestDrills(
            guest=guest.id,
            guest_name=guest.name,
            node=job.target,
            job=job.id,
            result=each.result,
            message=each.message,
            time=each.time,
            duration=each.duration,
            set_time=each.set_time,
            last_pass=each.last_pass,
            obstacle=each.obstacle,
            counts=dict(each.counts),
            awaited_since=None if guest.drill_off else each.last_pass or each.scheduled or each.since,
            limit=limit_of(guest, now),
            next=next_drill(guest, each, zone, now),
            is_running=running == job.id,
            clones_since=each.last_try if each.may_be_open and running != job.id else None,
        )
