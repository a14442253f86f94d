"""When an event deserves a message: failures 1, 2 and 3, then one a day, and the all-clear. Pure functions.

The memory of a job that fails is small and durable, so that the rule also holds over restarts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from replicator.events import Event, JobRemoved, RunFailed, RunSucceeded

EACH_UP_TO = 3
"""Failures in a row that are told one by one."""
REPEAT_AFTER = 24 * 3600.0
"""Seconds after a job's last message until the next one, while it goes on failing."""


@dataclass(frozen=True, slots=True)
class Incident:
    """What must be remembered of a job while it fails.

    Attributes:
        told: time of the event that the last message told of; None while none was delivered.
        synced: last sync before the failures began; None if there never was one.
    """

    told: float | None = None
    synced: float | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether to tell of an event, and what to remember of its job when that is done or not needed (None: nothing).

    ``dropped`` is what to remember instead when the message had to be given up: it counts as not told.
    """

    tell: bool
    remember: Incident | None
    dropped: Incident | None = None


def judge(event: Event, incident: Incident | None) -> Verdict:
    """Decide what one event means, given what is remembered of its job."""
    match event:
        case RunFailed():
            known = incident or Incident(synced=event.last_sync)
            if _due(event, known):
                return Verdict(tell=True, remember=replace(known, told=event.time), dropped=known)
            return Verdict(tell=False, remember=known)
        case RunSucceeded():
            return Verdict(tell=event.recovered_after > 0, remember=None)
        case JobRemoved():
            return Verdict(tell=False, remember=None)
        case _:
            return Verdict(tell=False, remember=incident)


def worst_lag(event: RunSucceeded, incident: Incident | None) -> float | None:
    """The oldest that the replica was before this success, in seconds; None if unknown or there was no replica."""
    if incident is None or incident.synced is None:
        return None
    return max(0.0, event.time - incident.synced)


def _due(event: RunFailed, incident: Incident) -> bool:
    if event.consecutive <= EACH_UP_TO or incident.told is None:
        return True
    # A clock that was set back would otherwise keep the job silent until the old time is reached again.
    return not 0 <= event.time - incident.told < REPEAT_AFTER
