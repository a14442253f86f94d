"""The daemon of one node: puts its parts together and runs them until it is stopped.

Each part has a module of its own: `planned_jobs` (cluster and states), `run_supervisor` (starting and watching runs),
`target_probes`, `node_monitor`, `frozen_guests`, `requests` (the control socket) and `plugin_host`.
`schedule.scheduler` decides what runs next, `run_worker` does a run, `status` builds the status.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from typing import Any

from replicator import __version__
from replicator.api.status import Status
from replicator.cluster.model import Cluster
from replicator.cluster.store import ClusterStore
from replicator.common.service_socket import ServiceSocket
from replicator.config.plugins import load_plugins
from replicator.config.settings import Settings
from replicator.daemon.config_watcher import ConfigWatcher
from replicator.daemon.control import serve_control
from replicator.daemon.damaged_states import DamagedStates
from replicator.daemon.drills import ScheduledDrills
from replicator.daemon.failed_runs import close_interrupted
from replicator.daemon.frozen_guests import FrozenGuests, Thaws
from replicator.daemon.full_copies import FullCopies
from replicator.daemon.later_owners import LaterOwners
from replicator.daemon.left_volumes import LeftVolumes
from replicator.daemon.node_monitor import NodeMonitor
from replicator.daemon.peer_views import PeerViews
from replicator.daemon.planned_jobs import PlannedJobs
from replicator.daemon.plugin_host import PluginHost
from replicator.daemon.pvesr_watch import PvesrWatch
from replicator.daemon.requests import RequestHandler
from replicator.daemon.run_supervisor import RunningJob, RunSupervisor
from replicator.daemon.run_worker import Worker
from replicator.daemon.status import DaemonFacts, build_status
from replicator.daemon.target_probes import probe_targets
from replicator.errors import ZsrError
from replicator.guests.drilling import Driller
from replicator.hosts.hook_unit import HookUnit
from replicator.models import JobId
from replicator.replication.progress import Progress
from replicator.state.stores import State
from replicator.zfs.node_clients import Nodes

_log = logging.getLogger("zsr.daemon")

LOOK_AGAIN_SECONDS = 2.0
"""The longest that the scheduler sleeps, in seconds, so that a jump of the clock or a suspend is noticed."""


class Daemon:
    """One node's daemon.

    ``clock`` returns unix time; ``cluster_changed`` is called when a new cluster is used; ``service`` is notified when
    the daemon is ready, and by each turn of the scheduler that it is alive.
    """

    def __init__(
        self,
        settings: Settings,
        store: ClusterStore,
        state: State,
        clock: Callable[[], float] = time.time,
        progress: Callable[[], Progress] = Progress,
        cluster_changed: Callable[[], None] = lambda: None,
        service: ServiceSocket | None = None,
    ) -> None:
        self._service = service or ServiceSocket()
        self._settings, self._state, self._clock = settings, state, clock
        self._state_created, self._state_moved = state.created, state.database.moved_aside
        self._started, self._loop_lag = clock(), 0.0
        self._wake, self._reload = asyncio.Event(), asyncio.Event()
        self._nodes = self._connections()
        self._node_monitor = NodeMonitor(self._nodes, settings.node, state, clock)
        self._pvesr = PvesrWatch(settings.pvesr_jobs)
        self._store = store
        self._config_watcher = ConfigWatcher(settings, store, clock)
        self._peers = PeerViews(settings, self._nodes, lambda: self._config_watcher.cluster, clock)
        self._damaged_states = DamagedStates(settings.state_dir)
        self._core = PluginHost(state, self.status, clock)
        self._frozen_guests = FrozenGuests(self._thaws())
        self._drills = self._scheduled_drills()
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
        worker = Worker(settings, store, state, self._nodes, clock, progress, FullCopies(self._wake.set))
        self._runs = self._supervisor(worker, running)

    def _connections(self) -> Nodes:
        settings, state = self._settings, self._state
        return Nodes(
            settings.node,
            settings.ssh,
            limit=settings.command_timeout,
            clock=self._clock,
            may_destroy=lambda: state.is_writable,
            hooks=HookUnit(self._service.hooks) if self._service.hooks else None,
        )

    def _supervisor(self, worker: Worker, running: dict[JobId, RunningJob]) -> RunSupervisor:
        return RunSupervisor(
            worker,
            self._jobs,
            running,
            announce=self._core.announce,
            wake=self._wake,
            clock=self._clock,
            max_parallel=self._settings.max_parallel,
        )

    def _scheduled_drills(self) -> ScheduledDrills:
        settings, locks = self._settings, self._settings.state_dir / "locks"
        driller = Driller(settings.node, self._state, locks, self._nodes, self._clock, time.monotonic)
        return ScheduledDrills(driller, lambda: self._config_watcher.cluster, settings.timezone, self._core.announce)

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
        await asyncio.to_thread(self._damaged_states.look)
        requests = RequestHandler(self._settings.node, self._state, self._jobs, self._runs, self.status, self._wake)
        try:
            async with serve_control(self._settings.control, requests.answer), asyncio.TaskGroup() as group:
                await self._frozen_guests.begin(group)
                self._runs.tasks = group
                for name, plugin in load_plugins().items():
                    group.create_task(self._core.run_plugin(name, plugin, self._settings.sections))
                for task in self._tasks(group):
                    group.create_task(task)
                _log.info("zsr %s on node %s: %d jobs.", __version__, self._settings.node, len(self._jobs.plan))
        finally:
            await self._nodes.close()

    def _tasks(self, group: asyncio.TaskGroup) -> Iterator[Coroutine[Any, Any, None]]:
        """Yield what the daemon does all the time, besides its plugins."""

        def cluster() -> Cluster:
            return self._config_watcher.cluster

        later = LaterOwners(
            self._settings, self._nodes, lambda: (each.node for each in self._peers.disagreements), self._wake.set
        )
        left = LeftVolumes(
            self._settings, self._nodes, cluster, self._store.read, lambda: self._node_monitor.local_inventory.left
        )
        yield self._measure_loop_lag()
        yield probe_targets(self._jobs, self._nodes, self._wake)
        yield self._node_monitor.keep_inventory(cluster, self._jobs.jobs)
        yield self._node_monitor.compare_clocks()
        yield self._peers.keep_comparing()
        yield self._node_monitor.targets.keep_looking(cluster, self._jobs.jobs)
        yield later.keep_asking()
        yield left.keep_releasing()
        yield self._pvesr.keep_reading()
        yield self._damaged_states.keep_looking()
        yield self._frozen_guests.keep_thawing(group)
        yield self._drills.keep_drilling(group)
        yield self._keep_reloading()
        yield self._schedule()

    def _report_interrupted(self) -> None:
        if self._state.database.moved_aside is not None:
            _log.error("state.db was damaged; it was moved to %s and replaced.", self._state.database.moved_aside)
        for record in close_interrupted(self._state, self._clock()):
            _log.warning("Job %s: run %d, started %s, was cut off.", record.job, record.id, time.ctime(record.start))

    async def _schedule(self) -> None:
        self._service.ready()
        while True:
            self._wake.clear()
            try:
                await asyncio.to_thread(self._look_at_state)
                await self._jobs.update()
            except ZsrError as error:  # a full disk, for example: the plan stays as it is, and the update is repeated
                _log.error("%s", error)
            self._runs.start_due()
            self._service.alive()
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_AGAIN_SECONDS):
                    await self._wake.wait()

    def _look_at_state(self) -> None:
        """Write what is in memory into ``state.db`` if that is possible again; know a new file for what it is."""
        self._state.database.return_to_file()
        moved = self._state.database.moved_aside
        if moved != self._state_moved:
            self._state_created, self._state_moved = self._state.created, moved
            self._damaged_states.look()

    def request_reload(self) -> None:
        """Ask for the settings of plugins to be read again (SIGHUP)."""
        self._reload.set()

    async def _keep_reloading(self) -> None:
        while True:
            await self._reload.wait()
            self._reload.clear()
            self._service.reloading()
            sections = await self._config_watcher.reload()
            if sections is not None:
                self._core.reload(sections)
                _log.info("The settings of plugins were read again.")
            self._service.ready()

    async def _measure_loop_lag(self) -> None:
        """Measure how late the event loop comes to a task that should run every second."""
        loop = asyncio.get_running_loop()
        while True:
            before = loop.time()
            await asyncio.sleep(1.0)
            self._loop_lag = max(0.0, loop.time() - before - 1.0)

    def status(self) -> Status:
        """Return the status of this moment, without any I/O."""
        return build_status(self._facts(self._clock()))

    def _facts(self, now: float) -> DaemonFacts:
        return DaemonFacts(
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
            same_machine=self._nodes.same_machine,
            zfs_version=self._node_monitor.zfs_version,
            zfs_problems=self._node_monitor.problems,
            looked_at=self._node_monitor.last_looks(),
            inventory=self._node_monitor.local_inventory,
            targets=dict(self._node_monitor.targets.found),
            frozen_since=self._frozen_guests.since,
            hook_failures=self._frozen_guests.failures,
            failed_freezes=self._frozen_guests.failed_freezes,
            drills=self._drills.found,
            moves=self._node_monitor.moves,
            moving=self._jobs.moving,
            pvesr=self._pvesr.jobs,
            start_failures=dict(self._runs.start_failures),
            blocked={job: why for job, why in self._runs.blocked.items() if job in self._jobs.plan},
            vanished_jobs=self._jobs.vanished.since,
            plugins=dict(self._core.ends),
            certificates=self._core.certificates,
            unreported=self._core.unreported,
            damaged_states=self._damaged_states.names,
            view=self._peers.view,
            disagreements=self._peers.disagreements,
            state_created=self._state_created, state_unwritable_since=self._state.database.unwritable_since,
        )  # fmt: skip
