"""Scheduler: which job runs next, and when (contract: Time). Pure: time is an argument, and there is no state.

The daemon and the simulation use the same functions.
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import dataclass
from datetime import tzinfo
from typing import Protocol

from replicator.common.durations import words
from replicator.models import Job, JobId
from replicator.schedule.calendar import CalendarEvent

PROBE_INTERVAL_SECONDS = 60.0
"""Seconds between two connection attempts to a target that did not answer."""

RPO_WITHOUT_EVENTS_SECONDS = 86400.0
"""The promise, in seconds, of a schedule that has no two events to measure a gap between."""

_BACKOFF_SECONDS = (300.0, 600.0, 900.0, 1800.0)
"""The retry ladder: seconds from one attempt to the next after one, two, three and more failures in a row."""


class Events(Protocol):
    """The moments of a schedule: a calendar event, or what answers for one."""

    def next(self, after: float, zone: tzinfo) -> int | None:
        """See `CalendarEvent.next`."""

    def count(self, after: float, until: float, zone: tzinfo) -> int:
        """See `CalendarEvent.count`."""


@dataclass(frozen=True, slots=True)
class Scheduled:
    """A job as the scheduler sees it.

    Attributes:
        last_try: unix time of the last attempt's start; 0 for never, or for "now, please".
        answered_at: since when the target answers again, if the last attempt found it unreachable; else None.
    """

    id: JobId
    event: Events
    zone: tzinfo
    last_try: float = 0.0
    consecutive_failures: int = 0
    disabled: bool = False
    removing: bool = False
    target: str = ""
    answered_at: float | None = None


def backoff(failures: int) -> float:
    """Return the seconds that the ladder waits after the start of an attempt, the last of so many failures in a row."""
    return _BACKOFF_SECONDS[min(failures, len(_BACKOFF_SECONDS)) - 1]


def retry(event: Events | None, zone: tzinfo, last_try: float, failures: int) -> float:
    """Return when a failed job is tried again, in unix seconds: by the ladder, or with its next slot if that is sooner.

    A nightly job does not wait for the next night, and a job of each minute not for half an hour. Without an event, as
    for a removal, the ladder decides alone.
    """
    by_ladder = last_try + backoff(failures)
    slot = None if event is None else event.next(last_try, zone)
    return by_ladder if slot is None else min(by_ladder, slot)


def ladder_steps(failures: int, elapsed: float) -> int:
    """Return how many of so many failures in a row the ladder alone would have brought in ``elapsed`` seconds.

    A job that its schedule tries again each minute fails more often than a person wants to hear of it.
    """
    steps, until = 1, 0.0
    while steps < failures and (until := until + backoff(steps)) <= elapsed:
        steps += 1
    return min(steps, failures)


def next_run(job: Scheduled) -> float | None:
    """Return when a job is due, in unix seconds; 0: at once, None: never."""
    if job.disabled:
        return None
    if job.last_try <= 0:
        return 0.0
    if job.consecutive_failures > 0:
        event = None if job.removing else job.event
        later = retry(event, job.zone, job.last_try, job.consecutive_failures)
        return later if job.answered_at is None else min(later, max(job.answered_at, job.last_try))
    if job.removing:
        return 0.0
    return job.event.next(job.last_try, job.zone)


def due(jobs: Iterable[Scheduled], now: float) -> list[Scheduled]:
    """Return the jobs that are due: earliest first, then by guest and job number."""
    wanted = ((next_run(job), job) for job in jobs)
    ready = [(when, job.id, job) for when, job in wanted if when is not None and when <= now]
    return [job for _, _, job in sorted(ready, key=lambda entry: entry[:2])]


def choose(
    jobs: Iterable[Scheduled], running: Set[JobId], now: float, max_parallel: int, full_copies: Set[JobId] = frozenset()
) -> Scheduled | None:
    """Return the job to start now, if any: never two runs of one guest, never more than ``max_parallel`` at once.

    Runs that make a full copy (``full_copies``, some of ``running``) do not count: they have a lane of their own, in
    which one goes on at a time, so that they make no other job late.
    """
    wanted = ((next_run(job), job) for job in jobs)
    ready = ((when, job) for when, job in wanted if when is not None and when <= now)
    return first(ready, running, max_parallel, full_copies)


def first(
    ready: Iterable[tuple[float, Scheduled]],
    running: Set[JobId],
    max_parallel: int,
    full_copies: Set[JobId] = frozenset(),
) -> Scheduled | None:
    """As `choose`, for jobs with the time since when they are due; each is visited once."""
    if len(running - full_copies) >= max_parallel:
        return None
    busy = {job.guest for job in running}
    free = ((when, job.id.guest, job.id.number, job) for when, job in ready if job.id.guest not in busy)
    return min(free, default=(None,))[-1]


def missed_runs(event: Events, zone: tzinfo, last_start: float, start: float) -> int:
    """Return how many slots passed between two starts without a run: all but the one that the second start serves.

    0 for a job that never started (``last_start`` 0).
    """
    return max(0, event.count(last_start, start, zone) - 1) if last_start > 0 else 0


def rpo(event: CalendarEvent, own: float | None, at: float) -> float:
    """Return the promise in seconds: the job's own, or twice the schedule's longest gap from ``at`` on."""
    if own is not None:
        return own
    gap = event.longest_gap(at)
    return RPO_WITHOUT_EVENTS_SECONDS if gap is None else 2 * gap


WEAK_SECONDS = 7 * 86400.0
"""A longer promise is hardly one: what breaks is noticed after so long a time."""


def weakness(job: Job, at: float) -> str | None:
    """Return a sentence about a job's promise if it is too weak to be one; ``at``: unix time."""
    promise = rpo(CalendarEvent.parse(job.schedule), job.rpo, at)
    if job.disabled or job.removal or promise <= WEAK_SECONDS:
        return None
    why = "its own rpo" if job.rpo is not None else f"the schedule {job.schedule}"
    return f"Job {job.id} promises only a copy of at most {words(promise)} ({why}), and nothing warns before that."


def haste(job: Job, at: float) -> str | None:
    """Return a sentence about a promise that its own schedule cannot keep; ``at``: unix time."""
    gap = CalendarEvent.parse(job.schedule).longest_gap(at)
    if job.disabled or job.removal or job.rpo is None or gap is None or job.rpo >= gap:
        return None
    return f"Job {job.id} promises a copy of at most {words(job.rpo)}, and its schedule has gaps of {words(gap)}."
