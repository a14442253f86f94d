"""Simulation of schedules on a virtual clock: when would runs start, and would the promises be kept? Pure.

It uses the same functions of `schedule` as the daemon, so both decide alike. A target that was unreachable is probed
every minute after that attempt's start; it answers as soon as the job's next outcome is another.

Waiting jobs stand in a heap by their due time, since a scan of all of them at every step (as
`schedule.scheduler.choose` does it for one node's jobs) would take hours for 10,000; the order is the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from enum import StrEnum
from heapq import heapify, heappop, heappush
from math import ceil, ulp

from replicator.models import JobId
from replicator.schedule.calendar import CalendarEvent
from replicator.schedule.scheduler import PROBE_INTERVAL_SECONDS, Scheduled, missed_runs, next_run, rpo

_JUST_AFTER_1970 = ulp(0.0)
"""Stands for the start of a run at 0, which would else mean "never": the same second, and lost in any sum."""


class Result(StrEnum):
    """How a simulated run ends."""

    SUCCESS = "success"
    FAILURE = "failure"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class SimulatedJob:
    """A job of a scenario: ``duration`` in seconds; ``outcomes`` in turn, the last one repeats.

    ``first_copy``: the seconds of the first run that succeeds, a full copy; None if the target has one already.
    """

    id: JobId
    target: str
    event: CalendarEvent
    zone: tzinfo
    duration: float = 0.0
    outcomes: tuple[Result, ...] = (Result.SUCCESS,)
    last_try: float = 0.0
    disabled: bool = False
    rpo: float | None = None
    first_copy: float | None = None


@dataclass(frozen=True, slots=True)
class Scenario:
    """Jobs to simulate from ``start`` to ``end`` (unix seconds, not negative; a run at ``end`` still counts)."""

    start: float
    end: float
    jobs: tuple[SimulatedJob, ...]
    max_parallel: int = 1


@dataclass(frozen=True, slots=True)
class SimulatedRun:
    """One run: its start, how it ends, the failures in a row after it, and when the schedule wants the next."""

    time: float
    job: JobId
    outcome: Result
    consecutive_failures: int
    next_run: float | None


@dataclass(slots=True)
class Tally:
    """The totals of one job's runs. ``promise`` and the lags are in seconds."""

    promise: float
    runs: int = 0
    failures: int = 0
    missed_runs: int = 0
    breach: float = 0.0
    worst_lag: float = 0.0


@dataclass(slots=True)
class Simulation:
    """The simulation of a scenario. Iterate over `play` to its end, then read ``tallies`` and ``busy_seconds``."""

    scenario: Scenario
    tallies: dict[JobId, Tally] = field(default_factory=dict)
    busy_seconds: float = 0.0

    def play(self) -> Iterator[SimulatedRun]:
        """Yield the runs in the order of their start."""
        scenario = self.scenario
        ranked = sorted(scenario.jobs, key=lambda job: job.id)
        events = {job.event: _SharedEvents(job.event) for job in ranked}
        actors = [_Actor(job, rank, scenario, events[job.event]) for rank, job in enumerate(ranked)]
        self.tallies = {actor.job.id: actor.tally for actor in actors}
        waiting = [entry for actor in actors if (entry := actor.entry()) is not None]
        heapify(waiting)
        ready: list[_Entry] = []
        running: list[_Entry] = []
        now = scenario.start
        while True:
            while running and running[0][0] <= now:
                finished = heappop(running)[2]
                finished.finish()
                if (entry := finished.entry()) is not None:
                    heappush(waiting, entry)
            while waiting and waiting[0][0] <= now:
                heappush(ready, heappop(waiting))
            chosen = _startable(ready, running, scenario.max_parallel)
            for actor in chosen:
                yield actor.begin(now, max((entry[0] for entry in running if entry[2].is_full_copy), default=now))
                if not actor.is_full_copy:
                    self.busy_seconds += min(actor.ends, scenario.end) - now
                heappush(running, (actor.ends, actor.rank, actor))
            if chosen:
                continue  # one at a time: a run without length frees its guest for the next at the same moment
            following = min([entry[0] for entry in (*waiting[:1], *running[:1])], default=None)
            if following is None or following > scenario.end:
                break
            now = max(now, following)
        for actor in actors:
            actor.end()

    @property
    def busy_fraction(self) -> float:
        """The part of the time in which runs were going on, of all slots; full copies need none."""
        span = (self.scenario.end - self.scenario.start) * self.scenario.max_parallel
        return self.busy_seconds / span if span > 0 else 0.0


_Entry = tuple[float, int, "_Actor"]
"""A moment, a job's place among all ids (numbers are compared quickly), and the job."""


def _startable(ready: list[_Entry], running: list[_Entry], max_parallel: int) -> list[_Actor]:
    """Take from the ready jobs those that start now, as `schedule.scheduler.choose` would."""
    free = max_parallel - sum(not actor.is_full_copy for _, _, actor in running)
    busy = {actor.job.id.guest for _, _, actor in running}
    chosen: list[_Actor] = []
    put_off: list[_Entry] = []
    while ready and not chosen and free > 0:
        entry = heappop(ready)
        guest = entry[2].job.id.guest
        if guest in busy:
            put_off.append(entry)
            continue
        busy.add(guest)
        chosen.append(entry[2])
    for entry in put_off:
        heappush(ready, entry)
    return chosen


class _SharedEvents:
    """A schedule whose answers are remembered by the second, as it has them: thousands of jobs ask the same."""

    _MOST = 100_000

    def __init__(self, event: CalendarEvent) -> None:
        self._event = event
        self._following: dict[tuple[int, tzinfo], int | None] = {}
        self._counts: dict[tuple[int, int, tzinfo], int] = {}

    def next(self, after: float, zone: tzinfo) -> int | None:
        """See `CalendarEvent.next`."""
        asked = (int(after // 1), zone)
        if asked not in self._following:
            if len(self._following) >= self._MOST:
                self._following.clear()
            self._following[asked] = self._event.next(after, zone)
        return self._following[asked]

    def count(self, after: float, until: float, zone: tzinfo) -> int:
        """See `CalendarEvent.count`."""
        asked = (int(after // 1), int(until // 1), zone)
        if asked not in self._counts:
            if len(self._counts) >= self._MOST:
                self._counts.clear()
            self._counts[asked] = self._event.count(after, until, zone)
        return self._counts[asked]


class _Actor:
    """One job with its state."""

    def __init__(self, job: SimulatedJob, rank: int, scenario: Scenario, events: _SharedEvents) -> None:
        self.job = job
        self._events = events
        self.rank = rank
        self.tally = Tally(rpo(job.event, job.rpo, scenario.start))
        self._scenario = scenario
        self._scheduled = self._after(job.last_try, 0)
        self._due = next_run(self._scheduled)
        self._last_start = job.last_try
        self._synced = scenario.start
        self._marked = scenario.start
        self._outcome = Result.SUCCESS
        self._has_copy = False
        self.is_full_copy = False
        self.ends = scenario.start

    def _after(self, last_try: float, failures: int) -> Scheduled:
        """Return the job for the scheduler after a try: made whole, since `replace` takes several times as long."""
        job = self.job
        return Scheduled(job.id, self._events, job.zone, last_try, failures, job.disabled, target=job.target)

    def entry(self) -> _Entry | None:
        """Return when the job is due, for the heap; None if it never is."""
        return None if self._due is None else (self._due, self.rank, self)

    def begin(self, now: float, lane_free: float) -> SimulatedRun:
        """Start a run; a full copy begins when the lane of full copies is free (unix seconds)."""
        self._outcome = self._upcoming()
        first_copy, self.is_full_copy = self.job.first_copy, False
        if first_copy is not None and not self._has_copy and self._outcome is Result.SUCCESS:
            self.is_full_copy = True
            self.ends = max(now, lane_free) + first_copy
        else:
            self.ends = now + self.job.duration
        failures = 0 if self._outcome is Result.SUCCESS else self._scheduled.consecutive_failures + 1
        self.tally.runs += 1
        self.tally.failures += failures > 0
        self.tally.missed_runs += missed_runs(self._events, self.job.zone, self._last_start, now)
        self._last_start = now or _JUST_AFTER_1970
        self._scheduled = self._after(self._last_start, failures)
        self._due = next_run(self._scheduled)
        return SimulatedRun(now, self.job.id, self._outcome, failures, self._due)

    def finish(self) -> None:
        """End the run that was begun."""
        start, end = self._scheduled.last_try, self.ends
        if self._outcome is Result.SUCCESS:
            self._has_copy = True
            self._account(end)
            self._synced = start
        elif self._outcome is Result.UNREACHABLE and self._upcoming() is not Result.UNREACHABLE:
            probes = max(1, ceil((end - start) / PROBE_INTERVAL_SECONDS))
            self._scheduled = replace(self._scheduled, answered_at=start + probes * PROBE_INTERVAL_SECONDS)
            self._due = next_run(self._scheduled)

    def end(self) -> None:
        """Account for the time from the last run to the scenario's end."""
        self._account(self._scenario.end)
        if not self.job.disabled:
            self.tally.missed_runs += missed_runs(self.job.event, self.job.zone, self._last_start, self._scenario.end)

    def _upcoming(self) -> Result:
        outcomes = self.job.outcomes
        return outcomes[min(self.tally.runs, len(outcomes) - 1)]

    def _account(self, until: float) -> None:
        """Count the breach of the promise up to a moment."""
        until = min(until, self._scenario.end)
        if not self.job.disabled:
            self.tally.breach += max(0.0, until - max(self._marked, self._synced + self.tally.promise))
            self.tally.worst_lag = max(self.tally.worst_lag, until - self._synced)
        self._marked = max(self._marked, until)
