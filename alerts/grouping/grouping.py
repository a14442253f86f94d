"""Groups failure and recovery events into notifications: one per cause, repeated on a ladder, plus one all-clear. Pure.

Events are processed in batches. Failures of one batch with one cause (target node and error class) are one message.
Where the cause is the node itself (it does not answer or refuses the log-in), jobs that fail later join the incident,
and the all-clear waits until none of them fails any more: a dead node with 200 jobs is one message, and one when it is
back. Failures that continue after the ladder are in the daily reminder (`alerts.grouping.reminders`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from replicator.errors import ErrorClass
from replicator.events import (
    Event,
    GraceEnded,
    GraceEnding,
    GuestReplaced,
    JobRemoved,
    ReplicaLost,
    RunFailed,
    RunSucceeded,
    SourceWentBack,
    VolumesVanished,
)
from replicator.schedule.scheduler import ladder_steps

_GROUPED = RunFailed | ReplicaLost | VolumesVanished | GraceEnding | GraceEnded | GuestReplaced | SourceWentBack
"""The events of runs that others with the same cause may follow within seconds.

A frozen guest needs a person at once. Jobs that vanish are all written by one look at the cluster.
"""

NODE_WIDE = frozenset({ErrorClass.NETWORK, ErrorClass.AUTH})
"""Classes of error whose cause is the target node, so that all jobs to it have it."""


@dataclass(frozen=True, slots=True)
class Incident:
    """A job that fails.

    Attributes:
        reported: time of the last event that a message reported; None while none was delivered.
        synced: last sync before the failures began; None if there never was one.
        node: the target node that is the cause; empty where the cause is the job's own.
        thread: the same for all jobs and messages of one incident.
        step: how far its last failure was on the retry ladder (`ladder_steps`); 0: not known.
    """

    reported: float | None = None
    synced: float | None = None
    node: str = ""
    thread: str = ""
    step: int = 0


@dataclass(frozen=True, slots=True)
class NotificationGroup:
    """Events, by number, that will form one notification: failures only or recoveries only.

    Attributes:
        incidents: the incident of each job before these events, by job id; jobs that join are in it, too.
        node: the node that is the cause; empty where the cause is the jobs' own.
        along: other jobs of the same incident, by job id.
        thread: of its incidents.
        flapping: whether all of its jobs are flapping (`alerts.grouping.flapping`).
    """

    events: tuple[tuple[int, RunFailed | RunSucceeded], ...]
    incidents: Mapping[str, Incident | None]
    node: str = ""
    along: tuple[str, ...] = ()
    thread: str = ""
    flapping: bool = False

    def with_reported(self, reported: Mapping[str, float | None]) -> NotificationGroup:
        """The group with the times at which the failures of its jobs were really reported before."""
        incidents = {
            job: None if before is None else replace(before, reported=reported.get(job))
            for job, before in self.incidents.items()
        }
        return replace(self, incidents=incidents)

    @property
    def is_failure(self) -> bool:
        """Whether it is one of failures; otherwise it is one of recoveries."""
        return isinstance(self.events[0][1], RunFailed)


@dataclass(frozen=True, slots=True)
class Held:
    """A recovery that waits until all jobs of a node's incident have recovered; ``incident`` is the one before it."""

    number: int
    event: RunSucceeded
    incident: Incident


@dataclass(frozen=True, slots=True)
class IncidentState:
    """The incidents of the jobs that fail, by job id, and the recoveries that are held back, by node."""

    incidents: Mapping[str, Incident] = field(default_factory=dict)
    held: Mapping[str, tuple[Held, ...]] = field(default_factory=dict)

    def with_reported(self, jobs: Collection[str], reported: Mapping[str, float | None]) -> IncidentState:
        """The state in which the failures of some jobs were reported at these times; None: not at all."""
        incidents = {
            job: replace(incident, reported=reported.get(job)) if job in jobs else incident
            for job, incident in self.incidents.items()
        }
        return replace(self, incidents=incidents)


Due = Callable[[int, int, bool], bool]
"""Whether a failure is reported: the step of the ladder before it, its own, and whether a failure of its job was
reported before it."""


@dataclass(slots=True)
class EventGrouper:
    """Groups a batch of events. ``groups`` are in the order in which they have to be sent."""

    target_of: Callable[[str], str]
    active: Collection[str]
    due: Due
    incidents: dict[str, Incident]
    held: dict[str, list[Held]]
    groups: list[NotificationGroup] = field(default_factory=list)

    def take(self, number: int, event: Event) -> None:
        """Process one event."""
        job = str(event.job)
        match event:
            case RunFailed():
                self._failed(number, event, job)
            case RunSucceeded():
                self._succeeded(number, event, job)
            case JobRemoved():
                self._forget(job)

    def close(self) -> None:
        """Add the all-clears that were held back for nodes whose jobs have all recovered now."""
        for node in list(self.held):
            self._all_clear(node)

    def _failed(self, number: int, event: RunFailed, job: str) -> None:
        before = self.incidents.get(job)
        target = self.target_of(job)
        node = target if event.error_class in NODE_WIDE else ""
        step = ladder_steps(event.consecutive, event.time - event.failing_since)
        last = before.step if before is not None and before.step else step - 1
        known = replace(before or Incident(synced=event.last_sync), node=node, step=step)
        self._take_out(job)
        others = {name: other for name, other in self.incidents.items() if node and other.node == node and name != job}
        reported = max((other.reported for other in others.values() if other.reported is not None), default=None)
        if others and reported is not None:
            self._add(number, event, job, before, node)
            thread = next((other.thread for other in others.values() if other.thread), "")
            self.incidents[job] = replace(known, reported=reported, thread=known.thread or thread)
            return
        if not self.due(last, step, known.reported is not None):
            self.incidents[job] = known
            return
        threads = [each.thread for each in (known, *others.values()) if each.thread]
        thread = self._join(number, event, job, before, node, tuple(others), next(iter(threads), str(number)))
        self.incidents[job] = replace(known, reported=event.time, thread=known.thread or thread)
        for name, other in others.items():  # they are in its message, too
            self.incidents[name] = replace(other, reported=event.time, thread=other.thread or thread)

    def _succeeded(self, number: int, event: RunSucceeded, job: str) -> None:
        before = self.incidents.pop(job, None)
        if before is None or not before.node:
            if before is not None and before.reported is not None:
                self._join(number, event, job, before, "", (), before.thread)
            return
        if before.reported is not None:
            self.held.setdefault(before.node, []).append(Held(number, event, before))
        self._all_clear(before.node)

    def _forget(self, job: str) -> None:
        incident = self.incidents.pop(job, None)
        self._take_out(job)
        if incident is not None and incident.node:
            self._all_clear(incident.node)

    def _take_out(self, job: str) -> None:
        """Remove a job that fails again, or is gone, from the recoveries that are held back."""
        for node, waiting in list(self.held.items()):
            self.held[node] = [each for each in waiting if str(each.event.job) != job]
            if not self.held[node]:
                del self.held[node]

    def _all_clear(self, node: str) -> None:
        members = [job for job, incident in self.incidents.items() if incident.node == node]
        if node not in self.held or any(job in self.active for job in members):
            return
        for job in members:  # disabled while it failed: no run will report its recovery
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
        """Add an event to the group with the same cause, or to a new one; returns its thread."""
        joined = self._add(number, event, job, before, node)
        if joined is None:
            self.groups.append(NotificationGroup(((number, event),), {job: before}, node, along, thread))
        return thread if joined is None else joined

    def _add(
        self, number: int, event: RunFailed | RunSucceeded, job: str, before: Incident | None, node: str
    ) -> str | None:
        """Add an event to the group with the same cause and return its thread; None if there is no such group."""
        for index in range(len(self.groups) - 1, -1, -1):
            group = self.groups[index]
            if job in group.incidents:
                return None  # the next event of a job belongs to another message
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
    state: IncidentState,
    *,
    target_of: Callable[[str], str],
    active: Collection[str],
    due: Due,
) -> tuple[tuple[NotificationGroup, ...], IncidentState]:
    """The groups of a batch of events, and the incidents when all of them are reported.

    Args:
        events: of the journal, by number, oldest first.
        state: the incidents before them.
        target_of: the node that a job replicates to, by job id; empty where it is not known.
        active: the enabled jobs, by id; an all-clear waits for no others.
        due: which steps of the ladder are reported.
    """
    held = {node: list(waiting) for node, waiting in state.held.items()}
    work = EventGrouper(target_of, active, due, dict(state.incidents), held)
    for number, event in events:
        work.take(number, event)
    work.close()
    after = IncidentState(work.incidents, {node: tuple(waiting) for node, waiting in work.held.items()})
    return tuple(work.groups), after


def revert_undelivered(before: Mapping[str, float | None], node: str, state: IncidentState) -> IncidentState:
    """The incidents after a message of failures was given up: as if it had not been made.

    Args:
        before: for each job of the message, the unix time of the report before it; None: there was none.
        node: the node that caused the failures, if any; jobs that joined later count as not reported, too.
        state: the incidents now.
    """
    incidents = dict(state.incidents)
    for job, incident in state.incidents.items():
        if job in before or (node and incident.node == node):
            incidents[job] = replace(incident, reported=before.get(job))
    return replace(state, incidents=incidents)


def worst_lag(event: RunSucceeded, incident: Incident | None) -> float | None:
    """The largest age of the replica before this success, in seconds; None if unknown or there was no replica."""
    if incident is None or incident.synced is None:
        return None
    return max(0.0, event.time - incident.synced)


def first_failure_time(events: Sequence[tuple[int, Event]]) -> float | None:
    """The time of the first event of a batch that others with the same cause may follow; None if there is none."""
    for _, event in events:
        if isinstance(event, _GROUPED) or (isinstance(event, RunSucceeded) and event.recovered_after):
            return event.time
    return None
