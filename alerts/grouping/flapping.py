"""Flapping jobs, which fail and recover again and again, are reported once; then held back until they settle. Pure.

When a job starts to fail for the third time within six hours, it is reported as flapping. From then on its single
failures and recoveries are held back: the all-clear comes when it has not failed for three hours. If it fails for three
steps of the retry ladder meanwhile, it is reported like any other job.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from alerts.grouping.grouping import Incident, IncidentState
from replicator.events import Event, JobRemoved, RunFailed, RunSucceeded
from replicator.schedule.scheduler import ladder_steps

TIMES = 3
"""Starts of a failure within `WINDOW_SECONDS` that make a job flapping."""
WINDOW_SECONDS = 6 * 3600.0
SETTLED_SECONDS = 3 * 3600.0
"""Seconds without a failure after which a flapping job has settled."""
STEADY = 3
"""Steps of the retry ladder from which on a flapping job counts as failing."""

Numbered = tuple[int, Event]


@dataclass(frozen=True, slots=True)
class Flap:
    """A job that failed lately. Times are unix times.

    Attributes:
        begins: when it started to fail, each time within `WINDOW_SECONDS`.
        last: when it failed last.
        reported: when the flapping began that was reported, so that single messages are held back; None: it is not.
        failures: how many runs failed since then.
        synced: last sync before it started to fail last.
        lag: the largest age of the replica since ``reported``, in seconds.
        held: the recovery that is held back, with its number in the journal.
    """

    begins: tuple[float, ...]
    last: float
    reported: float | None = None
    failures: int = 0
    synced: float | None = None
    lag: float | None = None
    held: tuple[int, RunSucceeded] | None = None


Flaps = Mapping[str, Flap]
"""By job id."""


@dataclass(slots=True)
class Sieve:
    """Filters a batch of events before it is grouped.

    Attributes:
        flaps: the jobs that failed lately.
        incidents: the jobs that fail.
        kept: the events that pass, in their order.
        flapping: the numbers of those among them that start or end a flapping.
    """

    flaps: dict[str, Flap]
    incidents: dict[str, Incident]
    kept: list[Numbered] = field(default_factory=list)
    flapping: set[int] = field(default_factory=set)

    def take(self, number: int, event: Event) -> None:
        """Let an event pass, or hold it back."""
        job = str(event.job)
        flap = self.flaps.get(job)
        if isinstance(event, RunFailed):
            if self._failed(number, event, flap):
                self.kept.append((number, event))
        elif isinstance(event, RunSucceeded) and flap is not None and flap.reported is not None:
            self.flaps[job] = _after_success(number, event, flap)
        else:
            if isinstance(event, JobRemoved):
                self.flaps.pop(job, None)
            self.kept.append((number, event))

    def _failed(self, number: int, event: RunFailed, before: Flap | None) -> bool:
        """Record a failure; returns whether it passes."""
        flap = before or Flap((), event.time)
        flap = replace(flap, last=event.time, held=None, failures=flap.failures + 1)
        if event.consecutive == 1:
            begins = (*(time for time in flap.begins if 0 <= event.time - time < WINDOW_SECONDS), event.time)
            flap = replace(flap, begins=begins, synced=event.last_sync)
            if flap.reported is None and len(begins) >= TIMES:
                self.flapping.add(number)
                self.flaps[str(event.job)] = replace(flap, reported=begins[0], failures=len(begins), lag=None)
                return True
        self.flaps[str(event.job)] = flap
        steps = ladder_steps(event.consecutive, event.time - event.failing_since)
        return flap.reported is None or steps >= STEADY

    def release(self, now: float) -> None:
        """Let the recoveries of settled jobs pass, together with the others of their thread."""
        waiting = {job: flap for job, flap in self.flaps.items() if flap.held is not None}
        threads = {job: self.incidents[job].thread for job in waiting if job in self.incidents}
        unsettled = {threads.get(job) for job, flap in waiting.items() if 0 <= now - flap.last < SETTLED_SECONDS}
        for job, flap in waiting.items():
            incident = self.incidents.get(job)
            if incident is not None:
                # It has recovered: other jobs that fail now by the same node must not join its incident.
                self.incidents[job] = incident = replace(incident, node="")
            if threads.get(job) in unsettled or flap.held is None:
                continue
            number, event = flap.held
            if incident is not None:
                synced = None if flap.lag is None else event.time - flap.lag
                self.incidents[job] = replace(incident, synced=synced)
            self.kept.append((number, replace(event, recovered_after=flap.failures, failing_since=flap.reported)))
            self.flapping.add(number)
            del self.flaps[job]


def sift(events: list[Numbered], flaps: Flaps, state: IncidentState, now: float) -> tuple[Sieve, IncidentState]:
    """Hold back the single events of flapping jobs, and let the recoveries of settled jobs pass.

    Args:
        events: of the journal, by number, oldest first.
        flaps: the jobs that failed lately.
        state: the incidents; returned as they are before the events that pass are grouped.
        now: unix time.
    """
    known = {
        job: flap for job, flap in flaps.items() if flap.reported is not None or 0 <= now - flap.last < WINDOW_SECONDS
    }
    sieve = Sieve(known, dict(state.incidents))
    for number, event in events:
        sieve.take(number, event)
    sieve.release(now)
    return sieve, replace(state, incidents=sieve.incidents)


def revert_unwanted(jobs: Mapping[str, object], flaps: Flaps) -> dict[str, Flap]:
    """The flaps after a notice about flapping jobs was not wanted."""
    return {
        job: replace(flap, reported=None) if job in jobs and flap.held is None else flap for job, flap in flaps.items()
    }


def _after_success(number: int, event: RunSucceeded, flap: Flap) -> Flap:
    """A flapping job after a successful run: the first success after a failure is held back."""
    if flap.held is not None:
        return flap
    lags = [lag for lag in (flap.lag, None if flap.synced is None else event.time - flap.synced) if lag is not None]
    return replace(flap, held=(number, event), lag=max(lags, default=None))
