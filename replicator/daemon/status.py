"""Builds the status: `Status` of the daemon and `JobStatus` of each job, from the facts of its parts. Pure.

The status of an idle job is computed when the job is planned, and cached until an input changes; of ten thousand
jobs, only those that run are computed for each status.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import tzinfo

from replicator.api.pvesr_jobs import PvesrJobs
from replicator.api.status import ConfigStatus, GuestOwner, JobStatus, RunHistogram, Status, Transfer
from replicator.cluster.model import Cluster
from replicator.daemon.active_run import ActiveRun
from replicator.daemon.local_inventory import LocalInventory
from replicator.models import Guest, Hook, Job, JobCondition, JobId, JobState
from replicator.schedule.grace import Terms, nearest_end
from replicator.schedule.scheduler import Scheduled, missed_runs
from replicator.state.guest_hooks import HookFailures

CACHE_SECONDS = 10.0
"""Seconds for which an idle status is used although a slot may have passed; planning, which comes sooner, renews it."""


@dataclass(frozen=True, slots=True)
class ScheduledJob:
    """A job with the scheduler's facts about it, and its status while it does not run.

    Attributes:
        due: when it is due, as `schedule.scheduler.next_run` returns it.
        idle_status: the status of the job as ``computed_at`` a unix time.
        until: when a slot of its schedule passes, or time alone changes something else.
    """

    job: Job
    scheduled: Scheduled
    due: float | None
    idle_status: JobStatus
    computed_at: float
    until: float


@dataclass(frozen=True, slots=True)
class DaemonFacts:
    """The facts of a daemon's parts at one moment.

    Attributes:
        plan: the jobs of this node.
        active: the runs that are going on.
        waiting: the jobs that are due and do not run yet, and since when they are due.
        zfs_version: None while this node's ZFS has not answered yet.
        zfs_problems: why this node's ZFS could not be read, in sentences.
        frozen_since: since when guests may be frozen (unix time).
        hook_failures: as ``state.db`` has them.
        pvesr: the replication jobs of Proxmox VE.
    """

    time: float
    node: str
    version: str
    timezone: tzinfo
    started: float
    event_loop_lag: float
    config: ConfigStatus
    cluster: Cluster
    plan: Mapping[JobId, ScheduledJob]
    active: Mapping[JobId, ActiveRun]
    waiting: Mapping[JobId, float]
    durations: Mapping[str, RunHistogram]
    reachable: Mapping[str, bool]
    clock_skew: Mapping[str, float]
    zfs_version: str | None
    zfs_problems: tuple[str, ...]
    inventory: LocalInventory
    frozen_since: Mapping[int, float]
    hook_failures: HookFailures
    pvesr: PvesrJobs


def build_status(facts: DaemonFacts) -> Status:
    """Return the status of the daemon."""
    obstacles = (*facts.config.obstacles, *facts.zfs_problems)
    return Status(
        time=facts.time,
        node=facts.node,
        version=facts.version,
        zfs_version=facts.zfs_version or "unknown",
        started=facts.started,
        ready=not obstacles,
        jobs=statuses(facts.plan, facts.active, facts.time),
        reachable=facts.reachable,
        queue_length=len(facts.waiting),
        scheduler_lag=max(0.0, facts.time - min(facts.waiting.values(), default=facts.time)),
        event_loop_lag=facts.event_loop_lag,
        config=facts.config,
        durations=facts.durations,
        replicas=facts.inventory.replicas,
        diverged=facts.inventory.diverged,
        not_ready=obstacles,
        nodes=tuple(facts.cluster.nodes.values()),
        pools=facts.inventory.pools,
        clock_skew=facts.clock_skew,
        source_snapshots=facts.inventory.marks,
        timezone=facts.timezone,
        frozen_since=facts.frozen_since,
        hook_failures=counted_hooks(facts.cluster, facts.node, facts.frozen_since, facts.hook_failures),
        owners=owners(facts.cluster, facts.node),
        pvesr=facts.pvesr,
    )


def owners(cluster: Cluster, node: str) -> Mapping[int, GuestOwner]:
    """Return the owners and epochs of the guests that a node owns, or that have a job to it."""
    received = {job.id.guest for job in cluster.jobs.values() if job.target == node}
    return {
        guest.id: GuestOwner(guest.node, guest.epoch)
        for guest in cluster.guests.values()
        if guest.node == node or guest.id in received
    }


def counted_hooks(
    cluster: Cluster, node: str, frozen: Iterable[int], failures: HookFailures
) -> Mapping[int, Mapping[Hook, int]]:
    """Return how often each hook of a node's guests failed, from 0 on; a frozen guest that is gone keeps its thaw."""
    hooks: dict[int, Iterable[Hook]] = dict.fromkeys(frozen, (Hook.THAW,))
    hooks |= {guest.id: guest.hooks for guest in cluster.guests.values() if guest.node == node and guest.hooks}
    return {guest: {hook: failures.get(guest, {}).get(hook, 0) for hook in hooks[guest]} for guest in sorted(hooks)}


def condition(job: Job, state: JobState, active: ActiveRun | None) -> JobCondition:
    """Return the condition of a job."""
    if active is not None and job.removal is None:
        return JobCondition.SYNCING
    if job.removal is not None:
        return JobCondition.REMOVING
    if job.disabled:
        return JobCondition.DISABLED
    if state.consecutive_failures > 0:
        return JobCondition.ERROR
    return JobCondition.OK if state.last_sync is not None else JobCondition.PENDING


def idle_status(
    job: Job,
    guest: Guest | None,
    source: str,
    state: JobState,
    *,
    due: float | None,
    rpo: float,
    passed: int,
    unconfirmed: bool = False,
) -> JobStatus:
    """Return the status of a job that is not running; ``passed``: how many more slots of its schedule it has missed."""
    return JobStatus(
        job=job,
        guest=guest,
        source=source,
        state=state,
        condition=condition(job, state, None),
        next_run=due,
        rpo=rpo,
        transfer=None,
        missed_runs=state.missed_runs + passed,
        sent_bytes_total=state.sent_bytes_total,
        unconfirmed=unconfirmed,
        grace_end=None if job.disabled or job.removal else nearest_end(state.vanished, Terms(job.grace)),
    )


def statuses(
    plan: Mapping[JobId, ScheduledJob], active: Mapping[JobId, ActiveRun], now: float
) -> tuple[JobStatus, ...]:
    """Return the status of all jobs of a plan, in its order."""
    return tuple(
        _running(planned, active[job_id]) if job_id in active else _idle(planned, now)
        for job_id, planned in plan.items()
    )


def _idle(planned: ScheduledJob, now: float) -> JobStatus:
    computed = planned.computed_at
    if computed <= now < planned.until or computed <= now < computed + CACHE_SECONDS:
        return planned.idle_status
    known = planned.idle_status
    passed = slots_passed(planned.scheduled, planned.job, known.state, now)
    return replace(known, missed_runs=known.state.missed_runs + passed)


def _running(planned: ScheduledJob, active: ActiveRun) -> JobStatus:
    known, progress = planned.idle_status, active.progress
    return replace(
        known,
        condition=condition(planned.job, known.state, active),
        transfer=Transfer(
            run=active.run,
            start=active.start,
            step=progress.step,
            done_bytes=progress.done_bytes,
            expected_bytes=progress.expected_bytes,
            transferring=progress.transferring,
        ),
        missed_runs=known.state.missed_runs,
        sent_bytes_total=known.state.sent_bytes_total + progress.sent_bytes,
    )


def slots_passed(scheduled: Scheduled, job: Job, state: JobState, now: float) -> int:
    """Return how many slots of a job that does not run have passed without a start, and count as missed."""
    if job.disabled or job.removal:
        return 0
    return missed_runs(scheduled.event, scheduled.zone, state.slots_from, now)
