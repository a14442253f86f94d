"""Jobs that fail, are well, and fail again: told once as flapping, then held back until it settles. Pure.

The third time within six hours that a job begins to fail is told as flapping. From then on its single failures and
recoveries are held: the all-clear comes when it has not failed for three hours. One that fails three times in a row
meanwhile is told of by the ladder, like any other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from alerts.grouping.grouping import Incident, IncidentState
from replicator.events import Event, JobRemoved, RunFailed, RunSucceeded

TIMES = 3
"""Beginnings of a failure within `WINDOW_SECONDS` that make a job a flapping one."""
WINDOW_SECONDS = 6 * 3600.0
SETTLED_SECONDS = 3 * 3600.0
"""Seconds without a failure after which a flapping job is well."""
STEADY = 3
"""Failures in a row from which on a flapping job just fails."""

Numbered = tuple[int, Event]


@dataclass(frozen=True, slots=True)
class Flap:
    """What is remembered of a job that failed lately. Times are unix times.

    Attributes:
        begins: when it began to fail within `WINDOW_SECONDS`.
        last: when it failed last.
        told: since when it is told as flapping, so that single messages are held; None: it is not.
        failures: how many runs failed since then.
        synced: last sync before it began to fail last.
        lag: the oldest that the replica was since ``told``, in seconds.
        held: the recovery that is not told yet, with its number in the journal.
    """

    begins: tuple[float, ...]
    last: float
    told: float | None = None
    failures: int = 0
    synced: float | None = None
    lag: float | None = None
    held: tuple[int, RunSucceeded] | None = None


Flaps = Mapping[str, Flap]
"""By job id."""


@dataclass(slots=True)
class Sieve:
    """A batch of events on its way to the policy.

    Attributes:
        flaps: what is remembered of jobs that failed lately.
        incidents: what the policy remembers of jobs that fail.
        kept: the events that are told, in their order.
        flapping: the numbers of the failures and recoveries among them that are told as flapping.
    """

    flaps: dict[str, Flap]
    incidents: dict[str, Incident]
    kept: list[Numbered] = field(default_factory=list)
    flapping: set[int] = field(default_factory=set)

    def take(self, number: int, event: Event) -> None:
        """Keep an event, or hold it."""
        job = str(event.job)
        flap = self.flaps.get(job)
        if isinstance(event, RunFailed):
            if self._failed(number, event, flap):
                self.kept.append((number, event))
        elif isinstance(event, RunSucceeded) and flap is not None and flap.told is not None:
            self.flaps[job] = _well(number, event, flap)
        else:
            if isinstance(event, JobRemoved):
                self.flaps.pop(job, None)
            self.kept.append((number, event))

    def _failed(self, number: int, event: RunFailed, before: Flap | None) -> bool:
        """Note a failure; whether it is kept."""
        flap = before or Flap((), event.time)
        flap = replace(flap, last=event.time, held=None, failures=flap.failures + 1)
        if event.consecutive == 1:
            begins = (*(time for time in flap.begins if 0 <= event.time - time < WINDOW_SECONDS), event.time)
            flap = replace(flap, begins=begins, synced=event.last_sync)
            if flap.told is None and len(begins) >= TIMES:
                self.flapping.add(number)
                self.flaps[str(event.job)] = replace(flap, told=begins[0], failures=len(begins), lag=None)
                return True
        self.flaps[str(event.job)] = flap
        return flap.told is None or event.consecutive >= STEADY

    def release(self, now: float) -> None:
        """Let go the recoveries of those that have settled, with all that are well in their thread."""
        waiting = {job: flap for job, flap in self.flaps.items() if flap.held is not None}
        threads = {job: self.incidents[job].thread for job in waiting if job in self.incidents}
        unsettled = {threads.get(job) for job, flap in waiting.items() if 0 <= now - flap.last < SETTLED_SECONDS}
        for job, flap in waiting.items():
            incident = self.incidents.get(job)
            if incident is not None:
                # It is well: that its node was at fault must not silence others that fail of it now.
                self.incidents[job] = incident = replace(incident, node="")
            if threads.get(job) in unsettled or flap.held is None:
                continue
            number, event = flap.held
            if incident is not None:
                synced = None if flap.lag is None else event.time - flap.lag
                self.incidents[job] = replace(incident, synced=synced)
            self.kept.append((number, replace(event, recovered_after=flap.failures, failing_since=flap.told)))
            self.flapping.add(number)
            del self.flaps[job]


def sift(events: list[Numbered], flaps: Flaps, memory: IncidentState, now: float) -> tuple[Sieve, IncidentState]:
    """Take out what flapping jobs would tell one by one, and put in the recoveries of those that have settled.

    Args:
        events: of the journal, by number, oldest first.
        flaps: what was remembered of jobs that failed lately.
        memory: what the policy remembers; given back as it is before the events that are kept are folded.
        now: unix time.
    """
    known = {job: flap for job, flap in flaps.items() if flap.told is not None or 0 <= now - flap.last < WINDOW_SECONDS}
    sieve = Sieve(known, dict(memory.incidents))
    for number, event in events:
        sieve.take(number, event)
    sieve.release(now)
    return sieve, replace(memory, incidents=sieve.incidents)


def revert_undelivered(jobs: Mapping[str, object], flaps: Flaps) -> dict[str, Flap]:
    """What is remembered when nobody wanted to hear that some jobs flap."""
    return {job: replace(flap, told=None) if job in jobs and flap.held is None else flap for job, flap in flaps.items()}


def _well(number: int, event: RunSucceeded, flap: Flap) -> Flap:
    """A flapping job after a run that went well: the first one after a failure is held."""
    if flap.held is not None:
        return flap
    lags = [lag for lag in (flap.lag, None if flap.synced is None else event.time - flap.synced) if lag is not None]
    return replace(flap, held=(number, event), lag=max(lags, default=None))
