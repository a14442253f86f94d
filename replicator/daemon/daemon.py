"""The daemon of one node: puts its parts together and runs them until it is stopped.

Each part has a module of its own: `planned_jobs` (cluster and states), `run_supervisor` (starting and watching runs),
`target_probes`, `node_monitor`, `frozen_guests`, `requests` (the control socket) and `plugin_host`.
`schedule.scheduler` decides what runs next, `run_worker` does a run, `status` builds the status.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress

from replicator import __version__
from replicator.api.status import Status
from replicator.cluster.store import ClusterStore
from replicator.config.plugins import load_plugins
from replicator.config.settings import Settings
from replicator.daemon.config_watcher import ConfigWatcher
from replicator.daemon.control import serve_control
from replicator.daemon.failed_runs import close_interrupted
from replicator.daemon.frozen_guests import FrozenGuests, Thaws
from replicator.daemon.full_copies import FullCopies
from replicator.daemon.node_monitor import NodeMonitor
from replicator.daemon.planned_jobs import PlannedJobs
from replicator.daemon.plugin_host import PluginHost
from replicator.daemon.pvesr_watch import PvesrWatch
from replicator.daemon.requests import RequestHandler
from replicator.daemon.run_supervisor import RunningJob, RunSupervisor
from replicator.daemon.run_worker import Worker
from replicator.daemon.status import DaemonFacts, build_status
from replicator.daemon.target_probes import probe_targets
from replicator.errors import ZsrError
from replicator.models import JobId
from replicator.replication.progress import Progress
from replicator.state.stores import State
from replicator.zfs.node_clients import Nodes

_log = logging.getLogger("zsr.daemon")

LOOK_AGAIN_SECONDS = 2.0
"""The longest that the scheduler sleeps, in seconds, so that a jump of the clock or a suspend is noticed."""


class Daemon:
    """One node's daemon. ``clock`` returns unix time; ``cluster_changed`` is called when a new cluster is used."""

    def __init__(
        self,
        settings: Settings,
        store: ClusterStore,
        state: State,
        clock: Callable[[], float] = time.time,
        progress: Callable[[], Progress] = Progress,
        cluster_changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._settings = settings
        self._state = state
        self._clock = clock
        self._started, self._loop_lag = clock(), 0.0
        self._wake = asyncio.Event()
        self._nodes = Nodes(settings.node, settings.ssh, limit=settings.command_timeout, clock=clock)
        self._node_monitor = NodeMonitor(self._nodes, settings.node, state)
        self._pvesr = PvesrWatch(settings.pvesr_jobs)
        self._config_watcher = ConfigWatcher(settings, store, clock)
        self._core = PluginHost(state, self.status)
        self._frozen_guests = FrozenGuests(self._thaws())
        running: dict[JobId, RunningJob] = {}
        self._jobs = PlannedJobs(
            settings,
            self._config_watcher,
            state,
            self._nodes,
            clock,
            running=running.keys(),
            announce=self._core.announce,
            cluster_changed=cluster_changed,
        )
        self._runs = RunSupervisor(
            Worker(settings, store, state, self._nodes, clock, progress, FullCopies(self._wake.set)),
            self._jobs,
            running,
            announce=self._core.announce,
            wake=self._wake,
            clock=clock,
            max_parallel=settings.max_parallel,
        )

    def _thaws(self) -> Thaws:
        return Thaws.of_node(
            self._settings,
            self._state,
            self._nodes,
            guests=lambda: self._config_watcher.cluster.guests,
            clock=self._clock,
            announce=self._core.announce,
        )

    async def run(self) -> None:
        """Work until cancelled.

        Raises:
            ConfigError: settings or cluster are wrong at the start. BusyError: another daemon is running.
        """
        await self._config_watcher.read()
        await self._nodes.update(self._config_watcher.cluster.nodes.values())
        await self._jobs.update()
        await asyncio.to_thread(self._report_interrupted)
        requests = RequestHandler(self._settings.node, self._state, self._jobs, self._runs, self.status, self._wake)
        try:
            async with serve_control(self._settings.control, requests.answer), asyncio.TaskGroup() as group:
                await self._frozen_guests.begin(group)
                self._runs.tasks = group
                for name, plugin in load_plugins().items():
                    group.create_task(self._core.run_plugin(name, plugin, self._settings.sections))
                group.create_task(self._measure_loop_lag())
                group.create_task(probe_targets(self._jobs, self._nodes, self._wake))
                group.create_task(
                    self._node_monitor.keep_inventory(lambda: self._config_watcher.cluster, self._jobs.jobs)
                )
                group.create_task(self._node_monitor.compare_clocks())
                group.create_task(self._pvesr.keep_reading())
                group.create_task(self._frozen_guests.keep_thawing(group))
                group.create_task(self._schedule())
                _log.info("zsr %s on node %s: %d jobs.", __version__, self._settings.node, len(self._jobs.plan))
        finally:
            await self._nodes.close()

    def _report_interrupted(self) -> None:
        if self._state.database.moved_aside is not None:
            _log.error("state.db was damaged; it was moved to %s and replaced.", self._state.database.moved_aside)
        for record in close_interrupted(self._state, self._clock()):
            _log.warning("Job %s: run %d, started %s, was cut off.", record.job, record.id, time.ctime(record.start))

    async def _schedule(self) -> None:
        while True:
            self._wake.clear()
            try:
                await self._jobs.update()
            except ZsrError as error:  # a full disk, for example: the plan stays as it is, and the update is repeated
                _log.error("%s", error)
            self._runs.start_due()
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_AGAIN_SECONDS):
                    await self._wake.wait()

    async def _measure_loop_lag(self) -> None:
        """Measure how late the event loop comes to a task that should run every second."""
        loop = asyncio.get_running_loop()
        while True:
            before = loop.time()
            await asyncio.sleep(1.0)
            self._loop_lag = max(0.0, loop.time() - before - 1.0)

    def status(self) -> Status:
        """Return the status of this moment, without any I/O."""
        now = self._clock()
        return build_status(
            DaemonFacts(
                time=now,
                node=self._settings.node,
                version=__version__,
                timezone=self._settings.timezone,
                started=self._started,
                event_loop_lag=self._loop_lag,
                config=self._config_watcher.status,
                cluster=self._config_watcher.cluster,
                plan=self._jobs.plan,
                active=self._runs.active(),
                waiting=self._jobs.waiting(now),
                durations=self._runs.durations.histograms(),
                reachable=self._nodes.reachable,
                clock_skew=self._nodes.clock_skew,
                zfs_version=self._node_monitor.zfs_version,
                zfs_problems=self._node_monitor.problems,
                inventory=self._node_monitor.local_inventory,
                frozen_since=self._frozen_guests.since,
                hook_failures=self._frozen_guests.failures,
                pvesr=self._pvesr.jobs,
            )
        )
