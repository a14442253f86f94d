"""What of the journal deserves a message: failures by a ladder, and the all-clear; one message for one cause.

The journal's events are folded in batches. Failures of one batch with one cause (target node and class) are one
message. Where the cause is the node itself (it does not answer, or lets nobody in), jobs that fail later join the
trouble that was told already, and the all-clear waits until none of them fails any more: a dead node with 200 jobs is
one message, and one when it is back. What goes on after the ladder is told once a day (`alerts.grouping.reminders`).
Pure; what is remembered is small, durable, and so holds over restarts.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from replicator.errors import ErrorClass
from replicator.events import Event, JobRemoved, ReplicaLost, RunFailed, RunSucceeded, VolumesVanished

NODE_WIDE = frozenset({ErrorClass.NETWORK, ErrorClass.AUTH})
"""Classes of error whose cause is the target node, so that all jobs to it have it."""


@dataclass(frozen=True, slots=True)
class Incident:
    """What must be remembered of a job while it fails.

    Attributes:
        told: time of the event that the last message told of; None while none was delivered.
        synced: last sync before the failures began; None if there never was one.
        node: the target node whose trouble it is; empty where it is the job's own.
        thread: the same for all jobs and messages that hang together.
    """

    told: float | None = None
    synced: float | None = None
    node: str = ""
    thread: str = ""


@dataclass(frozen=True, slots=True)
class NotificationGroup:
    """One message to be: events by number, all failures or all recoveries.

    Attributes:
        incidents: what was remembered of each job before, by job id; jobs that join are in it, too.
        node: the node whose trouble it is; empty where it is the jobs' own.
        along: other jobs that are in the same trouble, by job id.
        thread: of its incidents.
        flapping: whether all of its jobs have begun to fail again and again (`alerts.grouping.flapping`).
    """

    events: tuple[tuple[int, RunFailed | RunSucceeded], ...]
    incidents: Mapping[str, Incident | None]
    node: str = ""
    along: tuple[str, ...] = ()
    thread: str = ""
    flapping: bool = False

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
class IncidentState:
    """What is remembered of all jobs, by job id: those that fail, and recoveries that are held back, by node."""

    incidents: Mapping[str, Incident] = field(default_factory=dict)
    held: Mapping[str, tuple[Held, ...]] = field(default_factory=dict)


Due = Callable[[int, bool], bool]
"""Whether a failure is told: its place in the row, and whether anything was told of its job since it fails."""


@dataclass(slots=True)
class EventGrouper:
    """A batch of events on its way into messages. ``groups`` come in the order in which they are to be sent."""

    target_of: Callable[[str], str]
    active: Collection[str]
    due: Due
    incidents: dict[str, Incident]
    held: dict[str, list[Held]]
    groups: list[NotificationGroup] = field(default_factory=list)

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
        if others and told is not None:
            self._add(number, event, job, before, node)
            thread = next((other.thread for other in others.values() if other.thread), "")
            self.incidents[job] = replace(known, told=told, thread=known.thread or thread)
            return
        if not self.due(event.consecutive, known.told is not None):
            self.incidents[job] = known
            return
        threads = [each.thread for each in (known, *others.values()) if each.thread]
        thread = self._join(number, event, job, before, node, tuple(others), next(iter(threads), str(number)))
        self.incidents[job] = replace(known, told=event.time, thread=known.thread or thread)
        for name, other in others.items():  # they are in its message, too
            self.incidents[name] = replace(other, told=event.time, thread=other.thread or thread)

    def _succeeded(self, number: int, event: RunSucceeded, job: str) -> None:
        before = self.incidents.pop(job, None)
        if before is None or not before.node:
            if before is not None and before.told is not None:
                self._join(number, event, job, before, "", (), before.thread)
            return
        if before.told is not None:
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
        if node not in self.held or any(job in self.active for job in members):
            return
        for job in members:  # switched off while it failed: it will not tell any more
            del self.incidents[job]
        waiting = self.held.pop(node)
        events = tuple((each.number, each.event) for each in waiting)
        incidents = {str(each.event.job): each.incident for each in waiting}
        self.groups.append(NotificationGroup(events, incidents, node, (), waiting[0].incident.thread))

    def _join(
        self,
        number: int,
        event: RunFailed | RunSucceeded,
        job: str,
        before: Incident | None,
        node: str,
        along: tuple[str, ...],
        thread: str,
    ) -> str:
        """Tell of an event, with others of this batch that have the same cause where there are any; its thread."""
        joined = self._add(number, event, job, before, node)
        if joined is None:
            self.groups.append(NotificationGroup(((number, event),), {job: before}, node, along, thread))
        return thread if joined is None else joined

    def _add(
        self, number: int, event: RunFailed | RunSucceeded, job: str, before: Incident | None, node: str
    ) -> str | None:
        """Put an event to a message of this batch that is about the same cause, if there is one; its thread."""
        for index in range(len(self.groups) - 1, -1, -1):
            group = self.groups[index]
            if job in group.incidents:
                return None  # what follows it is another message
            if self._is_same(group, event, job, node):
                events, incidents = (*group.events, (number, event)), {**group.incidents, job: before}
                self.groups[index] = replace(group, events=events, incidents=incidents)
                return group.thread
        return None

    def _is_same(self, group: NotificationGroup, event: RunFailed | RunSucceeded, job: str, node: str) -> bool:
        _, first = group.events[0]
        if type(first) is not type(event) or group.node != node:
            return False
        if isinstance(first, RunFailed) and isinstance(event, RunFailed) and first.error_class is not event.error_class:
            return False
        target = self.target_of(job)
        return bool(target) and self.target_of(str(first.job)) == target


def group_events(
    events: Iterable[tuple[int, Event]],
    memory: IncidentState,
    *,
    target_of: Callable[[str], str],
    active: Collection[str],
    due: Due,
) -> tuple[tuple[NotificationGroup, ...], IncidentState]:
    """What a batch of the journal's events tells, and what is remembered when all of it was told.

    Args:
        events: by number, oldest first.
        memory: what was remembered before them.
        target_of: the node that a job replicates to, by job id; empty where it is not known.
        active: the jobs that are there and not switched off, by id; an all-clear waits for no others.
        due: the ladder.
    """
    held = {node: list(waiting) for node, waiting in memory.held.items()}
    work = EventGrouper(target_of, active, due, dict(memory.incidents), held)
    for number, event in events:
        work.take(number, event)
    work.close()
    after = IncidentState(work.incidents, {node: tuple(waiting) for node, waiting in work.held.items()})
    return tuple(work.groups), after


def revert_undelivered(before: Mapping[str, float | None], node: str, memory: IncidentState) -> IncidentState:
    """What is remembered when a message of failures was given up, or is not wanted: its jobs count as not told by it.

    Args:
        before: when each of its jobs was told of last before it.
        node: the node whose trouble it told of, if it did; jobs that joined it later count as not told, too.
        memory: what is remembered now.
    """
    incidents = dict(memory.incidents)
    for job, incident in memory.incidents.items():
        if job in before or (node and incident.node == node):
            incidents[job] = replace(incident, told=before.get(job))
    return replace(memory, incidents=incidents)


def worst_lag(event: RunSucceeded, incident: Incident | None) -> float | None:
    """The oldest that the replica was before this success, in seconds; None if unknown or there was no replica."""
    if incident is None or incident.synced is None:
        return None
    return max(0.0, event.time - incident.synced)


def first_failure_time(events: Sequence[tuple[int, Event]]) -> float | None:
    """The time of the first event of a batch that may be told; None if none may."""
    for _, event in events:
        if isinstance(event, RunFailed | ReplicaLost | VolumesVanished) or (
            isinstance(event, RunSucceeded) and event.recovered_after
        ):
            return event.time
    return None
