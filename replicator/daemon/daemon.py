"""The daemon: reads what should happen, starts what is due, and lets plugins and clients look on.

It decides nothing itself: `scheduler` says what runs next, `run_worker` does a run, `status` draws the picture.
Wall-clock time is looked at anew at least every few seconds, so a clock that jumps or a machine that slept is noticed.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from replicator import __version__
from replicator.api.plugin import Plugin
from replicator.api.status import Status
from replicator.cluster.store import Cluster, ClusterStore
from replicator.config.plugins import load_plugins, sections_of
from replicator.config.settings import Settings
from replicator.daemon.config_watcher import ConfigWatcher
from replicator.daemon.control import Request, Say, serving
from replicator.daemon.job_table import plan_jobs
from replicator.daemon.node_monitor import NodeMonitor
from replicator.daemon.plugin_host import PluginHost, RunDurations
from replicator.daemon.run_worker import ActiveRun, Worker, close_interrupted
from replicator.daemon.status import ScheduledJob, statuses
from replicator.daemon.status_json import status_json
from replicator.errors import BusyError, ConfigError, ErrorClass, InternalError, ZsrError
from replicator.models import Job, JobId, JobState, Outcome
from replicator.replication.progress import Progress
from replicator.schedule.scheduler import first
from replicator.state.stores import State
from replicator.zfs.node_clients import Nodes

_log = logging.getLogger("zsr.daemon")

LOOK_AGAIN_SECONDS = 2.0
"""The longest that the scheduler sleeps, in seconds, so that a jump of the clock is noticed."""

PROBE_EVERY_SECONDS = 60.0
PLUGIN_RESTART_SECONDS = 30.0
"""Seconds until a plugin that ended with an error is begun anew."""
POSTPONE_SECONDS = 10.0
"""Seconds until a job whose guest was locked is tried again."""


@dataclass(slots=True)
class _RunningJob:
    """A run's task and what it tells; ``active`` is None until the guest's lock is held."""

    task: asyncio.Task[None]
    listeners: list[Say] = field(default_factory=list)
    active: ActiveRun | None = None
    cancel_wanted: bool = False
    outcome: Outcome | None = None
    error: ZsrError | None = None


class Daemon:
    """One node's daemon. ``clock`` tells unix time; ``settled`` is called when a new cluster is in force."""

    def __init__(
        self,
        settings: Settings,
        store: ClusterStore,
        state: State,
        clock: Callable[[], float] = time.time,
        progress: Callable[[], Progress] = Progress,
        settled: Callable[[], None] = lambda: None,
    ) -> None:
        self._settled = settled
        self._settings = settings
        self._store = store
        self._state = state
        self._clock = clock
        self._nodes = Nodes(settings.node, settings.ssh, limit=settings.command_timeout, clock=clock)
        self._node_monitor = NodeMonitor(self._nodes, settings.node, state)
        self._worker = Worker(settings, store, state, self._nodes, clock, progress)
        self._core = PluginHost(state, self.status)
        self._durations = RunDurations()
        self._config_watcher = ConfigWatcher(settings, store, clock)
        self._states: dict[JobId, JobState] = {}
        self._plan: dict[JobId, ScheduledJob] = {}
        self._going: dict[JobId, _RunningJob] = {}
        self._answered: dict[str, float] = {}
        self._postponed_until: dict[JobId, float] = {}
        self._requested_at: dict[JobId, float] = {}
        self._catching_up = asyncio.Lock()
        self._wake = asyncio.Event()
        self._started = clock()
        self._settled_for: Cluster | None = None
        self._loop_lag = 0.0
        self._tasks: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        """Work until cancelled.

        Raises:
            ConfigError: settings or cluster are wrong at the start. BusyError: another daemon is running.
        """
        await self._config_watcher.read()
        await self._nodes.update(self._config_watcher.cluster.nodes.values())
        await self._catch_up()
        await asyncio.to_thread(self._forget_interrupted)
        try:
            async with serving(self._settings.control, self._answer), asyncio.TaskGroup() as group:
                self._tasks = group
                for name, plugin in load_plugins().items():
                    group.create_task(self._attend_plugin(name, plugin))
                group.create_task(self._watch_loop())
                group.create_task(self._probe_targets())
                group.create_task(self._node_monitor.look(lambda: self._config_watcher.cluster, self._jobs))
                group.create_task(self._node_monitor.compare_clocks())
                group.create_task(self._schedule())
                _log.info("zsr %s on node %s: %d jobs", __version__, self._settings.node, len(self._plan))
        finally:
            await self._nodes.close()

    # --- what should happen, and what is remembered

    async def _catch_up(self) -> None:
        """Take over what changed in the cluster and in ``state.db``, and plan anew; one at a time, never older news."""
        async with self._catching_up:
            if await self._config_watcher.read_again():
                await self._nodes.update(self._config_watcher.cluster.nodes.values())
            await self._refresh()
            if self._config_watcher.cluster is not self._settled_for:
                self._settled_for = self._config_watcher.cluster
                self._settled()

    async def _refresh(self) -> None:
        """Take over what ``state.db`` remembers, and plan anew."""
        now = self._clock()
        cluster, node = self._config_watcher.cluster, self._settings.node
        known = await asyncio.to_thread(self._state.jobs.all)
        new, gone = await asyncio.to_thread(_new_and_gone, cluster, node, known)
        for job_id in new:
            await asyncio.to_thread(self._state.jobs.ensure, job_id, now)
            known[job_id] = JobState(created=now)
        for job_id in gone - self._going.keys():
            await asyncio.to_thread(self._state.jobs.forget, job_id, now)
            await self._core.announce()
        # In a thread, for thousands of jobs must not hold up the event loop; what goes in is not changed by anybody.
        plan = await asyncio.to_thread(
            plan_jobs,
            cluster,
            node,
            known,
            default_zone=self._settings.timezone,
            answered={node: at for node, at in self._answered.items() if self._nodes.reachable.get(node)},
            now=now,
            before=self._plan,
        )
        await asyncio.to_thread(self._count_slots, plan, now)
        at_once = [job_id for job_id, planned in plan.items() if planned.due == 0]
        self._requested_at = {job_id: self._requested_at.get(job_id, now) for job_id in at_once}
        self._states, self._plan = known, plan

    def _count_slots(self, plan: Mapping[JobId, ScheduledJob], now: float) -> None:
        """Say what slots count as missed, of those jobs that were planned anew."""
        fresh = {
            job_id: _slots_of(planned.job)
            for job_id, planned in plan.items()
            if (before := self._plan.get(job_id)) is None or before.job is not planned.job
        }
        if fresh:
            self._state.jobs.count_slots(fresh, now)

    def _forget_interrupted(self) -> None:
        if self._state.database.moved_aside is not None:
            _log.error("state.db was damaged; it was moved to %s and is built anew", self._state.database.moved_aside)
        for record in close_interrupted(self._state, self._clock()):
            _log.warning("job %s: the run of %s was cut off", record.job, time.ctime(record.start))

    # --- the loop

    async def _schedule(self) -> None:
        while True:
            self._wake.clear()
            try:
                await self._catch_up()
            except ZsrError as error:  # a full disk, say: what is known stays in force, and it is tried again
                _log.error("%s", error)
            while (job_id := self._next()) is not None:
                self._start(self._plan[job_id].job)
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_AGAIN_SECONDS):
                    await self._wake.wait()

    def _next(self) -> JobId | None:
        now = self._clock()
        # A busy guest is put off and never blocks another job; a clock set back must not put it off for long.
        self._postponed_until = {
            job: until for job, until in self._postponed_until.items() if now < until <= now + POSTPONE_SECONDS
        }
        ready = [
            (when, planned.scheduled) for when, planned in self._due(now) if planned.job.id not in self._postponed_until
        ]
        chosen = first(ready, self._going.keys(), self._settings.max_parallel)
        return None if chosen is None else chosen.id

    def _start(self, job: Job) -> _RunningJob:
        task = self._group().create_task(self._supervise_run(job), name=f"run {job.id}")
        going = _RunningJob(task)
        self._going[job.id] = going
        # Not at the end of the task itself, which is never entered if it is cancelled before it begins.
        task.add_done_callback(lambda _: self._ended(job.id))
        return going

    def _ended(self, job_id: JobId) -> None:
        going = self._going.pop(job_id)
        if going.task.cancelled():
            going.outcome = Outcome.CANCELLED
        self._wake.set()

    async def _supervise_run(self, job: Job) -> None:
        going = self._going[job.id]

        def started(active: ActiveRun) -> None:
            going.active = active

        def listen(line: str) -> None:
            for say in going.listeners:
                say(line)

        begun = self._clock()
        try:
            going.outcome = await self._worker.run(
                self._config_watcher.cluster,
                job,
                started=started,
                listen=listen,
                due=self._due_since(job.id),
                others_due=bool(self._waiting(begun)),
            )
        except BusyError as error:
            going.error = error
            self._postponed_until[job.id] = self._clock() + POSTPONE_SECONDS
        except ZsrError as error:
            _log.error("job %s could not be run or recorded: %s", job.id, error)
            going.error = error
            self._postponed_until[job.id] = self._clock() + POSTPONE_SECONDS
        except Exception as error:  # noqa: BLE001 - a task's outermost frame: one job's end is not the daemon's
            _log.exception("job %s could not be run or recorded (class internal)", job.id)
            going.error = InternalError(f"Unexpected {type(error).__name__}: {error}.")
            self._postponed_until[job.id] = self._clock() + POSTPONE_SECONDS
        except asyncio.CancelledError:
            going.outcome = Outcome.CANCELLED
            if not going.cancel_wanted:
                raise
        finally:
            if going.outcome is not None:
                self._durations.observe(going.outcome, max(0.0, self._clock() - begun))
        try:
            await self._catch_up()  # so that whoever hears of the run's end also sees what follows from it
        except ZsrError as error:
            _log.error("%s", error)
        await self._core.announce()

    async def _probe_targets(self) -> None:
        """Once a minute, a mere connection to each target that did not answer; when it does, its jobs are due."""
        while True:
            await asyncio.sleep(PROBE_EVERY_SECONDS)
            async with asyncio.TaskGroup() as group:  # a slow one does not keep the others waiting
                for node in self._silent():
                    group.create_task(self._probe(node))

    def _silent(self) -> set[str]:
        """Targets that did not answer when last asked, also when that was before this daemon began."""
        reachable = self._nodes.reachable
        failed = {
            planned.job.target
            for job_id, planned in self._plan.items()
            if (failure := self._states[job_id].failure) and failure.error_class is ErrorClass.NETWORK
        }
        return {node for node in {*reachable, *failed} if not reachable.get(node, False)}

    async def _probe(self, node: str) -> None:
        try:
            answers = await self._nodes.probe(node)
        except ZsrError as error:  # taken out of the cluster meanwhile
            _log.warning("node %s could not be probed: %s", node, error)
            return
        except Exception:  # noqa: BLE001 - a task's outermost frame: the other nodes' jobs go on
            _log.exception("node %s could not be probed (class internal)", node)
            return
        if answers:
            _log.info("node %s answers again", node)
            self._answered[node] = self._clock()
            self._wake.set()

    def _jobs(self) -> list[Job]:
        return [planned.job for planned in self._plan.values()]

    async def _watch_loop(self) -> None:
        """How late the event loop comes to a task that should run every second."""
        loop = asyncio.get_running_loop()
        while True:
            before = loop.time()
            await asyncio.sleep(1.0)
            self._loop_lag = max(0.0, loop.time() - before - 1.0)

    async def _attend_plugin(self, name: str, plugin: Plugin) -> None:
        """A plugin's outermost frame: what goes wrong in it is said, never ends the replication; it is begun anew."""
        while True:
            try:
                await plugin.run(self._core, sections_of(plugin, self._settings.sections))
            except ZsrError as error:
                _log.error("plugin %s ended: %s It is tried again.", name, error)
            except Exception:  # noqa: BLE001 - a task's outermost frame
                _log.exception("plugin %s ended (class internal); it is tried again", name)
            else:
                return
            await asyncio.sleep(PLUGIN_RESTART_SECONDS)

    # --- what clients and plugins see

    def status(self) -> Status:
        """The picture of this moment, without any I/O."""
        now = self._clock()
        reading, survey = self._config_watcher.status, self._node_monitor.local_inventory
        obstacles = (*reading.obstacles, *self._node_monitor.problems)
        active = {job: going.active for job, going in self._going.items() if going.active is not None}
        waiting = self._waiting(now)
        oldest = min((self._due_since(job_id) for job_id in waiting), default=now)
        return Status(
            time=now,
            node=self._settings.node,
            version=__version__,
            zfs_version=self._node_monitor.zfs_version or "unknown",
            started=self._started,
            ready=not obstacles,
            jobs=statuses(self._plan, active, now),
            reachable=self._nodes.reachable,
            queue_length=len(waiting),
            scheduler_lag=max(0.0, now - oldest),
            event_loop_lag=self._loop_lag,
            config=reading,
            durations=self._durations.histograms(),
            replicas=survey.replicas,
            diverged=survey.diverged,
            not_ready=obstacles,
            nodes=tuple(self._config_watcher.cluster.nodes.values()),
            pools=survey.pools,
            clock_skew=self._nodes.clock_skew,
            source_snapshots=survey.marks,
            timezone=self._settings.timezone,
        )

    def _due(self, now: float) -> Iterator[tuple[float, ScheduledJob]]:
        """The jobs that are due, running ones too, and since when."""
        for planned in self._plan.values():
            if planned.due is not None and planned.due <= now:
                yield planned.due, planned

    def _waiting(self, now: float) -> list[JobId]:
        """The jobs that are due and do not run yet."""
        return [planned.job.id for _, planned in self._due(now) if planned.job.id not in self._going]

    def _due_since(self, job_id: JobId) -> float:
        """Since when a waiting job is due; one that is due "at once", since that was first seen."""
        return self._plan[job_id].due or self._requested_at.get(job_id, self._clock())

    async def _answer(self, request: Request, say: Say) -> object:
        """Answer a client of the control socket."""
        match request.get("verb"):
            case "ping":
                return os.getpid()
            case "status":
                return status_json(self.status())
            case "reload":
                await self._catch_up()
                self._wake.set()
                return None
            case "schedule-now":
                await self._schedule_now(await self._requested_job(request))
                return None
            case "run":
                return await self._run_now(await self._requested_job(request), say)
            case "cancel":
                return self._cancel(await self._requested_job(request))
            case verb:
                raise ConfigError(f"The daemon does not know the verb {verb!r}.")

    async def _requested_job(self, request: Request) -> Job:
        """The job that a client means, which it may have created a moment ago."""
        await self._catch_up()
        job = self._config_watcher.cluster.job(JobId.parse(str(request.get("job", ""))))
        if job.id not in self._plan:
            raise ConfigError(
                f"Job {job.id} belongs to node {self._config_watcher.cluster.source(job)}, "
                f"not to {self._settings.node}.",
                advice="Ask the daemon of that node.",
            )
        return job

    async def _schedule_now(self, job: Job) -> None:
        await asyncio.to_thread(self._state.jobs.schedule_now, job.id)
        await self._catch_up()
        self._wake.set()

    async def _run_now(self, job: Job, say: Say) -> str:
        """Run a job at once, whatever its schedule; look on if it runs already."""
        if job.disabled:
            raise ConfigError(f"Job {job.id} is disabled.", advice=f"Enable it first: zsr enable {job.id}.")
        going = self._going.get(job.id)
        if going is None:
            if any(other.guest == job.id.guest for other in self._going):
                raise BusyError(f"Another job of guest {job.id.guest} is running.", advice="Try again when it is done.")
            going = self._start(job)
        going.listeners.append(say)
        await asyncio.wait([going.task])
        if going.error is not None:
            raise going.error
        return str(going.outcome)

    def _cancel(self, job: Job) -> str:
        going = self._going.get(job.id)
        if going is None:
            raise ConfigError(f"Job {job.id} is not running.")
        going.cancel_wanted = True
        going.task.cancel()
        return "cancelled"

    def _group(self) -> asyncio.TaskGroup:
        if self._tasks is None:
            raise BusyError("The daemon is still starting.")
        return self._tasks


def _new_and_gone(cluster: Cluster, node: str, known: Mapping[JobId, object]) -> tuple[list[JobId], set[JobId]]:
    """The jobs of a node of which nothing is known yet, and those that are known and in no cluster any more."""
    new = [job.id for job in cluster.jobs_of(node) if job.id not in known]
    return new, known.keys() - cluster.jobs.keys()


def _slots_of(job: Job) -> str | None:
    """What the slots of a job depend on; None while none of them is to be used."""
    return None if job.disabled or job.removal else f"{job.schedule} {job.timezone or ''}"
