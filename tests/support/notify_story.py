"""A night in which node beta does not answer, reported to one target: its jobs, failing runs, and messages.

The pipeline is the real one; the clock, the scheduler's retries and the channel, which accepts everything, are played.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC
from itertools import accumulate

from alerts.delivery.outbox import next_entry
from alerts.delivery.pipeline import PipelineInput, process_events
from alerts.delivery.store import TargetState
from alerts.grouping.conditions import LOOK_SECONDS, next_report
from alerts.notice import Notice, Severity
from alerts.routing.routes import Route
from replicator.api.job_status import JobStatus
from replicator.api.status import Status
from replicator.errors import ErrorClass
from replicator.events import Event, RunFailed
from replicator.models import Failure, JobId
from tests.support import statuses

EVENING = statuses.NOW - 10 * 3600.0
"""22:00 UTC: the last sync of the first job."""
PROMISE = 1800.0
GATHER = 20.0
RETRIES = (300.0, 600.0, 900.0)
"""Seconds between the failures of a job; then half an hour."""


@dataclass(frozen=True)
class Delivered:
    """A message that arrived, and when."""

    at: float
    notice: Notice

    @property
    def jobs(self) -> set[JobId]:
        return {subject.job for subject in self.notice.subjects}


@dataclass
class DeadTarget:
    """So many jobs to beta, whose last syncs are ``gap`` seconds apart, and whose runs fail from then on.

    ``first_look`` is how many seconds after `EVENING` the target looks first, each minute from then on.
    """

    route: Route
    jobs: int
    gap: float = 0.0
    error_class: ErrorClass = ErrorClass.NETWORK
    first_look: float = 37.0
    state: TargetState = field(default_factory=lambda: TargetState(0, reminded=EVENING, digested=EVENING))
    delivered: list[Delivered] = field(default_factory=list)

    def last_sync(self, index: int) -> float:
        return EVENING + index * self.gap

    def breaks(self, index: int) -> float:
        """When the promise of a job breaks."""
        return self.last_sync(index) + PROMISE

    def until(self, end: float) -> DeadTarget:
        """Let time pass."""
        events = [event for event in self._events() if event.time <= end]
        now, taken = EVENING + self.first_look, 0
        while now <= end:
            batch = [(number, event) for number, event in enumerate(events, start=1) if number > taken]
            batch = [(number, event) for number, event in batch if event.time <= now]
            taken += len(batch)
            self._look(batch, now)
            moments = [now + LOOK_SECONDS, *(event.time + GATHER for event in events[taken : taken + 1])]
            look = next_report(self.state.conditions)
            now = min(
                max(moment, now + 1) for moment in [*moments, *([look] if look is not None and look > now else [])]
            )
        return self

    def pages(self) -> list[Delivered]:
        """The critical messages that arrived."""
        return [each for each in self.delivered if each.notice.severity is Severity.CRITICAL]

    def _look(self, batch: list[tuple[int, Event]], now: float) -> None:
        self.state = process_events(batch, self.state, PipelineInput("phone", self.route, self._status(now), UTC))
        while (entry := next_entry(self.state.outbox, now)) is not None:
            self.delivered.append(Delivered(now, entry.notice))
            self.state = self.state.without(entry)

    def _failures(self, index: int) -> list[float]:
        """When the runs of a job fail."""
        first = self.last_sync(index) + 900.0
        return [first + after for after in accumulate((*RETRIES, *[1800.0] * 16), initial=0.0)]

    def _events(self) -> list[Event]:
        found = [
            self._failed(index, consecutive, moment)
            for index in range(self.jobs)
            for consecutive, moment in enumerate(self._failures(index), start=1)
        ]
        return sorted(found, key=lambda event: (event.time, event.job))

    def _failed(self, index: int, consecutive: int, moment: float) -> RunFailed:
        return RunFailed(
            time=moment,
            job=JobId(100 + index, 0),
            run=consecutive,
            error_class=self.error_class,
            message="Node beta does not answer on port 22.",
            advice="Check that the node is up.",
            consecutive=consecutive,
            failing_since=self.last_sync(index) + 900.0,
            last_sync=self.last_sync(index),
            next_run=moment + 300.0,
        )

    def _status(self, now: float) -> Status:
        silent = self.error_class is ErrorClass.NETWORK and now > EVENING + 900.0
        jobs = tuple(self._job(index, now) for index in range(self.jobs))
        return statuses.status(*jobs, now=now, reachable={"beta": not silent})

    def _job(self, index: int, now: float) -> JobStatus:
        well = statuses.healthy(f"{100 + index}-0", now=now)
        synced = self.last_sync(index)
        failures = [moment for moment in self._failures(index) if moment <= now]
        failure = Failure(self.error_class, "Node beta does not answer.", "Check it.") if failures else None
        state = replace(
            well.state,
            last_sync=synced if synced <= now else synced - 900.0,
            consecutive_failures=len(failures),
            failure=failure,
        )
        return replace(well, state=state, rpo=PROMISE)
