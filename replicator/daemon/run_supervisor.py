"""Starts the runs that are due, supervises each as a task of its own, and cancels on request."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from replicator.daemon.active_run import ActiveRun, RunEnd
from replicator.daemon.control import Say
from replicator.daemon.planned_jobs import PlannedJobs
from replicator.daemon.run_durations import RunDurations
from replicator.daemon.run_report import log_end, log_start
from replicator.daemon.run_worker import Reseeded, Worker
from replicator.errors import BusyError, ConfigError, ErrorClass, InternalError, ZsrError
from replicator.models import GuestId, Job, JobId, Outcome
from replicator.schedule.scheduler import first

POSTPONE_SECONDS = 10.0
"""Seconds until a job whose guest was locked, or whose run could not be recorded, is tried again."""

_log = logging.getLogger("zsr.daemon")


@dataclass(slots=True)
class RunningJob:
    """A run's task and its listeners; ``active`` is None until the guest's lock is held."""

    task: asyncio.Task[None]
    listeners: list[Say] = field(default_factory=list)
    active: ActiveRun | None = None
    cancel_wanted: bool = False
    outcome: Outcome | None = None
    error: ZsrError | None = None

    def started(self, active: ActiveRun) -> None:
        """See `RunObserver.started`."""
        self.active = active
        log_start(active)

    def line(self, text: str) -> None:
        """See `RunObserver.line`."""
        for say in self.listeners:
            say(text)

    def ended(self, active: ActiveRun, end: RunEnd) -> None:
        """See `RunObserver.ended`."""
        log_end(active, end)


class RunSupervisor:
    """The runs of this node; ``blocked``: why no run of a job can begin, other than that its guest is locked.

    Args:
        worker: does the runs.
        jobs: the plan, updated after each run.
        running: filled and emptied here, by job.
        announce: called after a run has ended.
        wake: set when the next job may start.
        clock: unix time.
        max_parallel: how many runs there may be at once, full copies not counted.
    """

    def __init__(
        self,
        worker: Worker,
        jobs: PlannedJobs,
        running: dict[JobId, RunningJob],
        *,
        announce: Callable[[], Awaitable[None]],
        wake: asyncio.Event,
        clock: Callable[[], float],
        max_parallel: int,
    ) -> None:
        self.durations = RunDurations()
        self.start_failures: Counter[ErrorClass] = Counter()
        self.postponed_until: dict[JobId, float] = {}
        self.tasks: asyncio.TaskGroup | None = None
        self._worker = worker
        self._jobs = jobs
        self._running = running
        self._announce = announce
        self._wake = wake
        self._clock = clock
        self._max_parallel = max_parallel
        self.blocked: dict[JobId, str] = {}
        self._logged: dict[JobId, str] = {}

    def active(self) -> dict[JobId, ActiveRun]:
        """Return the runs that are going on."""
        return {job: running.active for job, running in self._running.items() if running.active is not None}

    def get(self, job_id: JobId) -> RunningJob | None:
        """Return the run of a job, or None if it does not run."""
        return self._running.get(job_id)

    def is_guest_busy(self, guest: GuestId) -> bool:
        """Return whether a job of a guest runs."""
        return any(job.guest == guest for job in self._running)

    def start_due(self) -> None:
        """Start the jobs that are due, as far as other runs allow."""
        while (job_id := self._next()) is not None:
            self.start(self._jobs.plan[job_id].job, by_schedule=True)

    def _next(self) -> JobId | None:
        now = self._clock()
        # A busy guest is postponed and never blocks another job; a clock set back must not postpone it for long.
        self.postponed_until = {
            job: until for job, until in self.postponed_until.items() if now < until <= now + POSTPONE_SECONDS
        }
        ready = [
            (when, planned.scheduled)
            for when, planned in self._jobs.due(now)
            if planned.job.id not in self.postponed_until
        ]
        chosen = first(ready, self._running.keys(), self._max_parallel, self._worker.full_copies.jobs)
        return None if chosen is None else chosen.id

    def start(self, job: Job, reseed: Reseeded | None = None, *, by_schedule: bool = False) -> RunningJob:
        """Start a run of a job that does not run; with ``reseed`` one that sends these volumes again.

        ``by_schedule``: no person wants it now; see `Worker.run`.

        Raises:
            BusyError: the daemon is still starting.
        """
        if self.tasks is None:
            raise BusyError("The daemon is still starting.")
        running = RunningJob(
            self.tasks.create_task(self._supervise(job, reseed, by_schedule=by_schedule), name=f"run {job.id}")
        )
        self._running[job.id] = running
        # Not at the end of the task itself, which is never entered if it is cancelled before it begins.
        running.task.add_done_callback(lambda _: self._ended(job.id))
        return running

    def _ended(self, job_id: JobId) -> None:
        running = self._running.pop(job_id)
        if running.task.cancelled():
            running.outcome = Outcome.CANCELLED
        self._wake.set()

    async def _supervise(self, job: Job, reseed: Reseeded | None, *, by_schedule: bool) -> None:
        running = self._running[job.id]
        begun = self._clock()
        try:
            await self._run(job, running, begun, reseed, by_schedule=by_schedule)
        except asyncio.CancelledError:
            running.outcome = Outcome.CANCELLED
            if not running.cancel_wanted:
                raise
        finally:
            if running.outcome is not None:
                self.durations.observe(running.outcome, max(0.0, self._clock() - begun))
            if running.error is not None:
                self.postponed_until[job.id] = self._clock() + POSTPONE_SECONDS
        try:
            await self._jobs.update()  # so that a client that waits for the run's end also sees its consequences
        except ZsrError as error:
            _log.error("%s", error)
        await self._announce()

    async def _run(
        self, job: Job, running: RunningJob, begun: float, reseed: Reseeded | None, *, by_schedule: bool
    ) -> None:
        """Do the run. If it cannot be done or recorded, clients get the error, and the daemon goes on."""
        try:
            running.outcome = await self._worker.run(
                self._jobs.cluster,
                job,
                observer=running,
                due=self._jobs.due_since(job.id),
                others_due=bool(self._jobs.waiting(begun)),
                reseed=reseed,
                by_schedule=by_schedule,
            )
        except BusyError as error:
            running.error = error
            if self._is_news(job.id, error):
                _log.warning("A run of job %s cannot begin; it is tried again: %s", job.id, error)
        except ZsrError as error:
            running.error = error
            if self._is_news(job.id, error):
                _log.error("Could not do or record a run of job %s: %s", job.id, error)
        except Exception as error:  # noqa: BLE001 - a task's outermost frame: one job's failure is not the daemon's
            _log.exception("Could not do or record a run of job %s (class internal).", job.id)
            running.error = InternalError(f"Unexpected {type(error).__name__}: {error}.")
        if running.active is not None:
            self._logged.pop(job.id, None)
            self.blocked.pop(job.id, None)
        elif running.error is not None:
            self.start_failures[running.error.error_class] += 1
            if not isinstance(running.error, BusyError):
                self.blocked[job.id] = running.error.what

    def _is_news(self, job_id: JobId, error: ZsrError) -> bool:
        """Return whether what is in the way is to be logged: once and not with each try."""
        before, self._logged[job_id] = self._logged.get(job_id), str(error)
        return before != str(error)

    def cancel(self, job_id: JobId) -> None:
        """Cancel the run of a job.

        Raises:
            ConfigError: it is not running.
        """
        running = self._running.get(job_id)
        if running is None:
            raise ConfigError(f"Job {job_id} is not running.")
        running.cancel_wanted = True
        running.task.cancel()
