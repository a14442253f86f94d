"""The jobs of this node with their states and due times, kept up to date with the cluster and ``state.db``."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping

from replicator.api.moves import MovingGuest
from replicator.cluster.model import Cluster
from replicator.common.clocks import CLOCK_SLACK_SECONDS
from replicator.config.settings import Settings
from replicator.daemon.config_watcher import ConfigWatcher
from replicator.daemon.job_table import plan_jobs
from replicator.daemon.moving_guests import moving_guests
from replicator.daemon.status import ScheduledJob
from replicator.daemon.vanished_jobs import VanishedJobs
from replicator.errors import ErrorClass
from replicator.models import Job, JobId, JobState
from replicator.state.stores import State
from replicator.zfs.node_clients import Nodes


class PlannedJobs:
    """Holds the plan: every job of this node, with what the scheduler and the status need of it.

    Args:
        settings: of this node.
        config: gives the cluster.
        state: gives the jobs' states; new jobs are added to it, and jobs that were removed are deleted.
        nodes: connections to the cluster's nodes, which follow the cluster.
        clock: unix time.
        running: the jobs that run now.
        announce: called after the journal has a new event.
        cluster_changed: called when a new cluster has been taken over.
    """

    def __init__(
        self,
        settings: Settings,
        config: ConfigWatcher,
        state: State,
        nodes: Nodes,
        clock: Callable[[], float],
        *,
        running: Collection[JobId],
        announce: Callable[[], Awaitable[None]],
        cluster_changed: Callable[[], None],
    ) -> None:
        self.plan: dict[JobId, ScheduledJob] = {}
        self.vanished = VanishedJobs(state, settings.node)
        self._settings = settings
        self._config = config
        self._state = state
        self._nodes = nodes
        self._clock = clock
        self._running = running
        self._announce = announce
        self._cluster_changed = cluster_changed
        self._taken_over: Cluster | None = None
        self._states: dict[JobId, JobState] = {}
        self._answered: dict[str, float] = {}
        self._requested_at: dict[JobId, float] = {}
        self.moving: tuple[MovingGuest, ...] = ()
        self._updating = asyncio.Lock()

    @property
    def cluster(self) -> Cluster:
        """The cluster as it was last read without errors."""
        return self._config.cluster

    async def update(self) -> None:
        """Take over changes of the cluster and of ``state.db``, and plan again; one update at a time."""
        async with self._updating:
            if await self._config.read_again():
                await self._nodes.update(self.cluster.nodes.values())
            await self._replan()
            if self.cluster is not self._taken_over:
                self._taken_over = self.cluster
                self._cluster_changed()

    async def _replan(self) -> None:
        now = self._clock()
        cluster, node = self.cluster, self._settings.node
        self.moving = moving_guests(cluster, node, self.moving, now)
        known = await asyncio.to_thread(self._state.jobs.all)
        for job_id in [job.id for job in cluster.jobs_of(node) if job.id not in known]:
            await asyncio.to_thread(self._state.jobs.ensure, job_id, now)
            known[job_id] = JobState(created=now)
        if await asyncio.to_thread(self.vanished.look, cluster, known, tuple(self._running), now):
            await self._announce()
        # In a thread, so that thousands of jobs do not hold up the event loop; nothing changes the arguments meanwhile.
        plan = await asyncio.to_thread(
            plan_jobs,
            cluster,
            node,
            known,
            default_zone=self._settings.timezone,
            answered={node: at for node, at in self._answered.items() if self._nodes.reachable.get(node)},
            now=now,
            before=self.plan,
        )
        await asyncio.to_thread(self._count_slots, plan, now)
        await asyncio.to_thread(self._record_off, plan, now)
        at_once = [job_id for job_id, planned in plan.items() if planned.due == 0]
        self._requested_at = {job_id: self._requested_at.get(job_id, now) for job_id in at_once}
        self._states, self.plan = known, plan

    def _count_slots(self, plan: Mapping[JobId, ScheduledJob], now: float) -> None:
        """Set which slots count as missed, for the jobs that were planned again."""
        fresh = {
            job_id: _slots_of(planned)
            for job_id, planned in plan.items()
            if (before := self.plan.get(job_id)) is None
            or before.job is not planned.job
            or before.scheduled.disabled != planned.scheduled.disabled
        }
        if fresh:
            self._state.jobs.count_slots(fresh, now)

    def _record_off(self, plan: Mapping[JobId, ScheduledJob], now: float) -> None:
        """Record since when jobs are disabled or being removed, where that changed."""
        wanted = {
            job_id: since
            for job_id, planned in plan.items()
            if (since := off_since(planned, now)) != _recorded(planned.idle_status.state)
        }
        if wanted:
            self._state.jobs.set_off_since(wanted)

    def jobs(self) -> list[Job]:
        """Return the jobs of this node."""
        return [planned.job for planned in self.plan.values()]

    def due(self, now: float) -> Iterator[tuple[float, ScheduledJob]]:
        """Yield the jobs that are due, running ones too, and since when."""
        for planned in self.plan.values():
            if planned.due is not None and planned.due <= now:
                yield planned.due, planned

    def waiting(self, now: float) -> dict[JobId, float]:
        """Return the jobs that are due and do not run yet, and since when they are due."""
        return {
            planned.job.id: self.due_since(planned.job.id)
            for _, planned in self.due(now)
            if planned.job.id not in self._running
        }

    def due_since(self, job_id: JobId) -> float:
        """Return since when a waiting job is due.

        A job that is due at once has no such time of its own; then it is the time when the daemon first saw that.
        """
        return self.plan[job_id].due or self._requested_at.get(job_id, self._clock())

    def silent_targets(self) -> set[str]:
        """Return the targets that did not answer when last asked, also when that was before this daemon started.

        Those that refused the login are among them: a key that is put right there should count soon.
        """
        reachable = self._nodes.reachable
        failed = self._targets_with(ErrorClass.NETWORK)
        silent = {node for node in {*reachable, *failed} if not reachable.get(node, False)}
        return silent | self._targets_with(ErrorClass.AUTH)

    def _targets_with(self, error_class: ErrorClass) -> set[str]:
        """Return the targets of the jobs whose last run failed with a class."""
        return {
            planned.job.target
            for job_id, planned in self.plan.items()
            if (failure := self._states[job_id].failure) and failure.error_class is error_class
        }

    def target_answers(self, node: str) -> None:
        """Note that a target answers again: its jobs become due with the next update."""
        self._answered[node] = self._clock()


def _slots_of(planned: ScheduledJob) -> str | None:
    """Return the facts that a job's slots depend on, as text; None while it uses no slots."""
    job = planned.job
    return None if planned.scheduled.disabled or job.removal else f"{job.schedule} {job.timezone or ''}"


def off_since(planned: ScheduledJob, now: float) -> tuple[float | None, float | None]:
    """Return since when a job is disabled, and since when it is being removed; None: it is not."""
    idle, state = planned.idle_status, planned.idle_status.state
    disabled = _since(idle.is_disabled, state.disabled_since, now)
    return disabled, _since(idle.job.removal is not None, state.removal_since, now)


def _since(is_so: bool, known: float | None, now: float) -> float | None:
    """Return the known beginning, or now; one in the future comes from a clock that was ahead."""
    if not is_so:
        return None
    return now if known is None or known > now + CLOCK_SLACK_SECONDS else known


def _recorded(state: JobState) -> tuple[float | None, float | None]:
    return state.disabled_since, state.removal_since
