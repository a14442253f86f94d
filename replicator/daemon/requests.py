"""Answers the requests of clients on the control socket: status, reload, run, reseed, schedule-now, cancel."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass

from replicator.api.status import Status
from replicator.cluster.disabling import refuse_disabled
from replicator.daemon.control import Request, Say
from replicator.daemon.planned_jobs import PlannedJobs
from replicator.daemon.run_supervisor import RunningJob, RunSupervisor
from replicator.daemon.status_json import status_json
from replicator.errors import BusyError, ConfigError
from replicator.models import Job, JobId
from replicator.state.stores import State


@dataclass(frozen=True, slots=True)
class RequestHandler:
    """Answers each request with a JSON value; see `replicator.daemon.control`.

    Attributes:
        node: this node's name.
        status: returns the status of the moment.
        wake: set to let the scheduler look for due jobs at once.
    """

    node: str
    state: State
    jobs: PlannedJobs
    runs: RunSupervisor
    status: Callable[[], Status]
    wake: asyncio.Event

    async def answer(self, request: Request, say: Say) -> object:
        """Answer one request; ``say`` sends the client a line meanwhile."""
        match request.get("verb"):
            case "ping":
                return os.getpid()
            case "status":
                return status_json(self.status())
            case "reload":
                await self.jobs.update()
                self.wake.set()
                return None
            case "schedule-now":
                await self._schedule_now(await self._job(request))
                return None
            case "run" | "reseed" as verb:
                job = await self._job(request)
                return await (self._run_now(job, say) if verb == "run" else self._reseed(job, request, say))
            case "cancel":
                self.runs.cancel((await self._job(request)).id)
                return "cancelled"
            case verb:
                raise ConfigError(f"The daemon does not know the verb {verb!r}.")

    async def _job(self, request: Request) -> Job:
        """Return the job that a request names; the client may have created it a moment ago."""
        await self.jobs.update()
        cluster = self.jobs.cluster
        job = cluster.job(JobId.parse(str(request.get("job", ""))))
        if job.id not in self.jobs.plan:
            raise ConfigError(
                f"Job {job.id} belongs to node {cluster.source(job)}, not to {self.node}.",
                advice="Ask the daemon of that node.",
            )
        return job

    async def _schedule_now(self, job: Job) -> None:
        await asyncio.to_thread(self.state.jobs.schedule_now, job.id)
        await self.jobs.update()
        self.wake.set()

    async def _run_now(self, job: Job, say: Say) -> str:
        """Run a job at once, whatever its schedule; follow the run if it is going on already."""
        self._refuse_disabled(job)
        running = self.runs.get(job.id)
        if running is None:
            self._refuse_busy(job)
            running = self.runs.start(job)
        return await self._followed(running, say)

    async def _reseed(self, job: Job, request: Request, say: Say) -> str:
        """Send volumes of a job again; a run that is going on is not disturbed."""
        self._refuse_disabled(job)
        self._refuse_busy(job)
        volumes = request.get("volumes")
        wanted = tuple(map(str, volumes)) if isinstance(volumes, list) else ()
        return await self._followed(self.runs.start(job, wanted), say)

    def _refuse_disabled(self, job: Job) -> None:
        refuse_disabled(job.id, self.jobs.plan[job.id].idle_status.disablement)

    def _refuse_busy(self, job: Job) -> None:
        if self.runs.is_guest_busy(job.id.guest):
            which = "This job" if self.runs.get(job.id) is not None else "Another job"
            raise BusyError(f"{which} of guest {job.id.guest} is running.", advice="Try again when it is done.")

    async def _followed(self, running: RunningJob, say: Say) -> str:
        running.listeners.append(say)
        await asyncio.wait([running.task])
        if running.error is not None:
            raise running.error
        return str(running.outcome)
