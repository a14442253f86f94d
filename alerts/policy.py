"""What deserves a message: failures 1, 2 and 3 of a job, then one a day, and the all-clear; one message for one cause.

The journal's events are folded in batches. Failures of one batch with one cause (target node and class) are one
message. Where the cause is the node itself (it does not answer, or lets nobody in), jobs that fail later join the
trouble that was told already, and the all-clear waits until none of them fails any more: a dead node with 200 jobs is
one message, and one when it is back. Pure; what is remembered is small, durable, and so holds over restarts.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from replicator.errors import ErrorClass
from replicator.events import Event, JobRemoved, RunFailed, RunSucceeded

EACH_UP_TO = 3
"""Failures in a row that are told one by one."""
REPEAT_AFTER = 24 * 3600.0
"""Seconds after a job's last message until the next one, while it goes on failing."""
NODE_WIDE = frozenset({ErrorClass.NETWORK, ErrorClass.AUTH})
"""Classes of error whose cause is the target node, so that all jobs to it have it."""


@dataclass(frozen=True, slots=True)
class Incident:
    """What must be remembered of a job while it fails.

    Attributes:
        told: time of the event that the last message told of; None while none was delivered.
        synced: last sync before the failures began; None if there never was one.
        node: the target node whose trouble it is; empty where it is the job's own.
    """

    told: float | None = None
    synced: float | None = None
    node: str = ""


@dataclass(frozen=True, slots=True)
class Telling:
    """One message to be: events by number, all failures or all recoveries.

    Attributes:
        incidents: what was remembered of each job before, by job id; jobs that join are in it, too.
        node: the node whose trouble it is; empty where it is the jobs' own.
        along: other jobs that are in the same trouble, by job id.
    """

    events: tuple[tuple[int, RunFailed | RunSucceeded], ...]
    incidents: Mapping[str, Incident | None]
    node: str = ""
    along: tuple[str, ...] = ()

    @property
    def is_failure(self) -> bool:
        """Whether it tells of failures; otherwise of recoveries."""
        return isinstance(self.events[0][1], RunFailed)


@dataclass(frozen=True, slots=True)
class Held:
    """Recoveries that wait until all jobs of a node's trouble are well: the event, and what was remembered before."""

    number: int
    event: RunSucceeded
    incident: Incident


@dataclass(frozen=True, slots=True)
class Memory:
    """What is remembered of all jobs, by job id: those that fail, and recoveries that are held back, by node."""

    incidents: Mapping[str, Incident] = field(default_factory=dict)
    held: Mapping[str, tuple[Held, ...]] = field(default_factory=dict)


@dataclass(slots=True)
class Fold:
    """A batch of events on its way into messages. ``tellings`` come in the order in which they are to be sent."""

    target_of: Callable[[str], str]
    going_on: Collection[str]
    incidents: dict[str, Incident]
    held: dict[str, list[Held]]
    tellings: list[Telling] = field(default_factory=list)

    def take(self, number: int, event: Event) -> None:
        """Fold one event."""
        job = str(event.job)
        match event:
            case RunFailed():
                self._failed(number, event, job)
            case RunSucceeded():
                self._succeeded(number, event, job)
            case JobRemoved():
                self._forget(job)

    def close(self) -> None:
        """Tell of what was held back, where nobody is left whom it waits for."""
        for node in list(self.held):
            self._all_clear(node)

    def _failed(self, number: int, event: RunFailed, job: str) -> None:
        before = self.incidents.get(job)
        target = self.target_of(job)
        node = target if event.error_class in NODE_WIDE else ""
        known = replace(before or Incident(synced=event.last_sync), node=node)
        self._take_out(job)
        others = {name: other for name, other in self.incidents.items() if node and other.node == node and name != job}
        told = max((other.told for other in others.values() if other.told is not None), default=None)
        if others and told is not None and not _old(event.time, told):
            self._add(number, event, job, before, node)
            self.incidents[job] = replace(known, told=told)
            return
        due = _old(event.time, known.told) if others else _due(event, known)
        if not due:
            self.incidents[job] = known
            return
        self._join(number, event, job, before, node, tuple(others))
        self.incidents[job] = replace(known, told=event.time)
        for name, other in others.items():  # a repeat tells of all of them
            self.incidents[name] = replace(other, told=event.time)

    def _succeeded(self, number: int, event: RunSucceeded, job: str) -> None:
        before = self.incidents.pop(job, None)
        if before is None or not before.node:
            if event.recovered_after:
                self._join(number, event, job, before, "", ())
            return
        if event.recovered_after:
            self.held.setdefault(before.node, []).append(Held(number, event, before))
        self._all_clear(before.node)

    def _forget(self, job: str) -> None:
        incident = self.incidents.pop(job, None)
        self._take_out(job)
        if incident is not None and incident.node:
            self._all_clear(incident.node)

    def _take_out(self, job: str) -> None:
        """A job that fails again, or is gone, is none of those that wait for an all-clear."""
        for node, waiting in list(self.held.items()):
            self.held[node] = [each for each in waiting if str(each.event.job) != job]
            if not self.held[node]:
                del self.held[node]

    def _all_clear(self, node: str) -> None:
        members = [job for job, incident in self.incidents.items() if incident.node == node]
        if node not in self.held or any(job in self.going_on for job in members):
            return
        for job in members:  # switched off while it failed: it will not tell any more
            del self.incidents[job]
        waiting = self.held.pop(node)
        events = tuple((each.number, each.event) for each in waiting)
        self.tellings.append(Telling(events, {str(each.event.job): each.incident for each in waiting}, node))

    def _join(
        self,
        number: int,
        event: RunFailed | RunSucceeded,
        job: str,
        before: Incident | None,
        node: str,
        along: tuple[str, ...],
    ) -> None:
        """Tell of an event, with others of this batch that have the same cause where there are any."""
        if not self._add(number, event, job, before, node):
            self.tellings.append(Telling(((number, event),), {job: before}, node, along))

    def _add(self, number: int, event: RunFailed | RunSucceeded, job: str, before: Incident | None, node: str) -> bool:
        """Put an event to a message of this batch that is about the same cause, if there is one."""
        for index in range(len(self.tellings) - 1, -1, -1):
            telling = self.tellings[index]
            if job in telling.incidents:
                return False  # what follows it is another message
            if self._is_same(telling, event, job, node):
                events, incidents = (*telling.events, (number, event)), {**telling.incidents, job: before}
                self.tellings[index] = replace(telling, events=events, incidents=incidents)
                return True
        return False

    def _is_same(self, telling: Telling, event: RunFailed | RunSucceeded, job: str, node: str) -> bool:
        _, first = telling.events[0]
        if type(first) is not type(event) or telling.node != node:
            return False
        if isinstance(first, RunFailed) and isinstance(event, RunFailed) and first.error_class is not event.error_class:
            return False
        target = self.target_of(job)
        return bool(target) and self.target_of(str(first.job)) == target


def fold(
    events: Iterable[tuple[int, Event]],
    memory: Memory,
    *,
    target_of: Callable[[str], str],
    going_on: Collection[str],
) -> tuple[tuple[Telling, ...], Memory]:
    """What a batch of the journal's events tells, and what is remembered when all of it was told.

    Args:
        events: by number, oldest first.
        memory: what was remembered before them.
        target_of: the node that a job replicates to, by job id; empty where it is not known.
        going_on: the jobs that are there and not switched off, by id; an all-clear waits for no others.
    """
    held = {node: list(waiting) for node, waiting in memory.held.items()}
    work = Fold(target_of, going_on, dict(memory.incidents), held)
    for number, event in events:
        work.take(number, event)
    work.close()
    after = Memory(work.incidents, {node: tuple(waiting) for node, waiting in work.held.items()})
    return tuple(work.tellings), after


def dropped(telling: Telling, memory: Memory) -> Memory:
    """What is remembered when a message was given up: its jobs, and those that joined it, count as not told by it."""
    if not telling.is_failure:
        return memory
    incidents = dict(memory.incidents)
    for job, incident in memory.incidents.items():
        before = telling.incidents.get(job)
        if job in telling.incidents or (telling.node and incident.node == telling.node):
            incidents[job] = replace(incident, told=None if before is None else before.told)
    return replace(memory, incidents=incidents)


def worst_lag(event: RunSucceeded, incident: Incident | None) -> float | None:
    """The oldest that the replica was before this success, in seconds; None if unknown or there was no replica."""
    if incident is None or incident.synced is None:
        return None
    return max(0.0, event.time - incident.synced)


def deserves_a_look(events: Sequence[tuple[int, Event]]) -> float | None:
    """The time of the first event of a batch that may be told; None if none may."""
    for _, event in events:
        if isinstance(event, RunFailed) or (isinstance(event, RunSucceeded) and event.recovered_after):
            return event.time
    return None


def _due(event: RunFailed, incident: Incident) -> bool:
    return event.consecutive <= EACH_UP_TO or _old(event.time, incident.told)


def _old(now: float, told: float | None) -> bool:
    """Whether a day has passed since the last message; a clock that was set back must not keep a job silent."""
    return told is None or not 0 <= now - told < REPEAT_AFTER
