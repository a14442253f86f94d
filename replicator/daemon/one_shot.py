"""Runs in the foreground, when no daemon is running: the same worker, the same locks, the same records."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from replicator.cluster.disabling import disablement, refuse_disabled
from replicator.cluster.model import Cluster
from replicator.cluster.store import ClusterStore
from replicator.config.settings import Settings
from replicator.daemon.active_run import ActiveRun, RunEnd
from replicator.daemon.failed_runs import close_interrupted
from replicator.daemon.frozen_guests import Thaws
from replicator.daemon.job_table import plan_jobs
from replicator.daemon.run_worker import Reseeded, Worker
from replicator.errors import BusyError, ConfigError
from replicator.models import Job, JobId, Outcome
from replicator.schedule.scheduler import due
from replicator.state.stores import State
from replicator.zfs.node_clients import Nodes


async def run_jobs(
    settings: Settings, store: ClusterStore, state: State, job_id: JobId | None, listen: Callable[[str], None],
    reseed: Reseeded | None = None,
) -> bool:  # fmt: skip
    """Run one job now, or (None) all that are due, one after the other; return whether all succeeded.

    Before that, the guests that earlier runs left frozen are thawed. ``reseed``: the volumes that the one job sends
    again (empty: all).

    Raises:
        ConfigError: there is no such job on this node, or it is disabled.
        BusyError: the one job's guest is locked by another run.
    """
    await asyncio.to_thread(close_interrupted, state, time.time())
    cluster = await asyncio.to_thread(store.read)
    nodes = Nodes(settings.node, settings.ssh, limit=settings.command_timeout, may_destroy=lambda: state.is_writable)
    await nodes.update(cluster.nodes.values())
    worker = Worker(settings, store, state, nodes, time.time)
    thaws = Thaws.of_node(
        settings, state, nodes, guests=lambda: cluster.guests, clock=time.time, announce=partial(asyncio.sleep, 0)
    )
    try:
        await thaws.thaw_all()
        well = True
        began = time.time()
        jobs = _chosen(settings, cluster, state, job_id)
        for job in jobs:
            try:
                outcome = await worker.run(
                    cluster, job, observer=_Listener(listen), due=began, others_due=len(jobs) > 1, reseed=reseed
                )
            except BusyError as error:
                if job_id is not None:
                    raise
                listen(f"job {job.id}: {error}")
                continue
            well = well and outcome is Outcome.SUCCESS
        return well
    finally:
        await nodes.close()


@dataclass(frozen=True, slots=True)
class _Listener:
    """Hands on the lines of a run's log; the caller learns the outcome from the worker."""

    listen: Callable[[str], None]

    def started(self, active: ActiveRun) -> None:
        """See `RunObserver.started`."""

    def line(self, text: str) -> None:
        """See `RunObserver.line`."""
        self.listen(text)

    def ended(self, active: ActiveRun, end: RunEnd) -> None:
        """See `RunObserver.ended`."""


def _chosen(settings: Settings, cluster: Cluster, state: State, job_id: JobId | None) -> list[Job]:
    now = time.time()
    if job_id is None:
        states = state.jobs.all()
        plan = plan_jobs(cluster, settings.node, states, default_zone=settings.timezone, answered={}, now=now)
        return [plan[scheduled.id].job for scheduled in due([p.scheduled for p in plan.values()], now)]
    job = cluster.job(job_id)
    if job not in cluster.jobs_of(settings.node):
        raise ConfigError(f"Job {job_id} belongs to node {cluster.source(job)}, not to {settings.node}.")
    refuse_disabled(job_id, disablement(cluster, job, now))
    return [job]
