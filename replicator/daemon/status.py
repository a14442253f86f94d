"""Builds the status: `Status` of the daemon and `JobStatus` of each job, from the facts of its parts. Pure.

The status of an idle job is computed when the job is planned, and cached until an input changes; of ten thousand
jobs, only those that run are computed for each status.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import tzinfo

from replicator.api.certificate import Certificate
from replicator.api.disagreement import ClusterView, Disagreement
from replicator.api.drills import GuestDrills
from replicator.api.held import TargetLook
from replicator.api.job_status import Disablement, JobStatus, Transfer
from replicator.api.moves import GuestMoves, MovingGuest
from replicator.api.pvesr_jobs import PvesrJobs
from replicator.api.status import ConfigStatus, GuestOwner, PluginEnds, RunHistogram, Status
from replicator.cluster.model import Cluster
from replicator.common.clocks import CLOCK_SLACK_SECONDS
from replicator.daemon.active_run import ActiveRun
from replicator.daemon.local_inventory import LocalInventory
from replicator.errors import ErrorClass
from replicator.models import Guest, GuestId, Hook, Job, JobCondition, JobId, JobState
from replicator.schedule.grace import Terms, nearest_end
from replicator.schedule.scheduler import Scheduled, missed_runs
from replicator.state.guest_hooks import HookFailures

FIRST_LOOK_SECONDS = 600.0
"""Seconds after ``state.db`` was made in which the daemon that made it has seen all of its jobs."""
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
        looked_at: when each node's ZFS was last listed (unix time).
        targets: as in `Status`.
        frozen_since: since when guests may be frozen (unix time).
        hook_failures, failed_freezes: as ``state.db`` has them.
        drills, moves, moving: as in `Status`.
        pvesr: the replication jobs of Proxmox VE.
        start_failures: how often a run could not begin, by class; ``blocked``: as in `Status`.
        vanished_jobs: since when jobs are gone that nobody removed (unix time).
        view: of the cluster, in short; ``disagreements``: with other nodes' views, as contacts with them showed.
        plugins, certificates, unreported, damaged_states: as in `Status`.
        state_created: when ``state.db`` was made (unix time).
        state_unwritable_since: as in `Status`.
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
    same_machine: Mapping[str, str]
    zfs_version: str | None
    zfs_problems: tuple[str, ...]
    looked_at: Mapping[str, float]
    inventory: LocalInventory
    targets: Mapping[str, TargetLook]
    frozen_since: Mapping[GuestId, float]
    hook_failures: HookFailures
    failed_freezes: Mapping[GuestId, int]
    drills: tuple[GuestDrills, ...]
    moves: tuple[GuestMoves, ...]
    moving: tuple[MovingGuest, ...]
    pvesr: PvesrJobs
    start_failures: Mapping[ErrorClass, int]
    blocked: Mapping[JobId, str]
    vanished_jobs: Mapping[JobId, float]
    view: ClusterView
    disagreements: tuple[Disagreement, ...]
    plugins: Mapping[str, PluginEnds]
    certificates: tuple[Certificate, ...]
    unreported: tuple[JobId, ...] | None
    damaged_states: tuple[str, ...]
    state_created: float
    state_unwritable_since: float | None


def build_status(facts: DaemonFacts) -> Status:
    """Return the status of the daemon."""
    obstacles = (*facts.config.obstacles, *facts.zfs_problems)
    found = Status(
        time=facts.time,
        node=facts.node,
        version=facts.version,
        zfs_version=facts.zfs_version or "unknown",
        started=facts.started,
        ready=not obstacles,
        jobs=tuple(_remembered(job, facts) for job in statuses(facts.plan, facts.active, facts.time)),
        reachable=facts.reachable,
        queue_length=len(facts.waiting),
        scheduler_lag=max(0.0, facts.time - min(facts.waiting.values(), default=facts.time)),
        event_loop_lag=facts.event_loop_lag,
        config=facts.config,
        durations=facts.durations,
        not_ready=obstacles,
        nodes=tuple(facts.cluster.nodes.values()),
        clock_skew=facts.clock_skew,
        same_machine=facts.same_machine,
        timezone=facts.timezone,
        frozen_since=facts.frozen_since,
        hook_failures=counted_hooks(facts.cluster, facts.node, facts.frozen_since, facts.hook_failures),
        failed_freezes=counted_freezes(facts.cluster, facts.node, facts.failed_freezes),
        owners=owners(facts.cluster, facts.node),
        drills=facts.drills,
        pvesr=facts.pvesr,
        start_failures=facts.start_failures,
        vanished_jobs=facts.vanished_jobs,
        view=facts.view,
        disagreements=facts.disagreements,
        plugins=facts.plugins,
        certificates=facts.certificates,
        unreported=facts.unreported,
        damaged_states=facts.damaged_states,
        state_created=facts.state_created, state_unwritable_since=facts.state_unwritable_since,
    )  # fmt: skip
    return _with_looks(found, facts)


def _remembered(job: JobStatus, facts: DaemonFacts) -> JobStatus:
    """Note where the last sync of a job was forgotten."""
    oldest = facts.inventory.oldest_sets.get(job.job.id)
    return replace(job, forgotten=True) if is_forgotten(job.state, oldest, facts.state_created) else job


def _with_looks(status: Status, facts: DaemonFacts) -> Status:
    """Add what the looks at the ZFS of this node and of others found, and what keeps runs from beginning."""
    return replace(
        status,
        blocked=facts.blocked,
        moves=facts.moves,
        moving=facts.moving,
        replicas=facts.inventory.replicas,
        diverged=facts.inventory.diverged,
        pools=facts.inventory.pools,
        storages=facts.inventory.storages,
        asides=facts.inventory.asides,
        source_snapshots=facts.inventory.marks,
        foreign_snapshots=facts.inventory.foreign,
        coverage=facts.inventory.coverage,
        zfs_readable=not facts.zfs_problems,
        looked_at=facts.looked_at,
        unmeasured=facts.inventory.unmeasured,
        targets=facts.targets,
        unknown_guests=facts.inventory.unknown,
    )


def is_forgotten(state: JobState, oldest_set: float | None, state_created: float) -> bool:
    """Return whether a job replicated before ``state.db`` was made, and nothing is known of its target since.

    The daemon sees all jobs right after it made the file. A job that it sees later is new here, or came from another
    node with sets that are older than itself.

    Args:
        state: as ``state.db`` has it.
        oldest_set: when the oldest set of the job on its source was taken (unix time); None: it has none.
        state_created: when ``state.db`` was made (unix time).
    """
    if state.last_sync is not None or state.runs_succeeded or state.place is not None or oldest_set is None:
        return False
    is_as_old_as_the_file = state.created <= state_created + FIRST_LOOK_SECONDS
    return is_as_old_as_the_file and oldest_set < state_created - CLOCK_SLACK_SECONDS


def owners(cluster: Cluster, node: str) -> Mapping[GuestId, GuestOwner]:
    """Return the owners and epochs of the guests that a node owns, or that have a job to it."""
    received = {job.id.guest for job in cluster.jobs.values() if job.target == node}
    return {
        guest.id: GuestOwner(guest.node, guest.epoch)
        for guest in cluster.guests.values()
        if guest.node == node or guest.id in received
    }


def counted_hooks(
    cluster: Cluster, node: str, frozen: Iterable[GuestId], failures: HookFailures
) -> Mapping[GuestId, Mapping[Hook, int]]:
    """Return how often each hook of a node's guests failed; 0 for a hook that never did.

    A guest that may be frozen, and is no longer in the cluster file, has its thaw hook in the result.
    """
    hooks: dict[GuestId, Iterable[Hook]] = dict.fromkeys(frozen, (Hook.THAW,))
    hooks |= {guest.id: guest.hooks for guest in cluster.guests.values() if guest.node == node and guest.hooks}
    return {guest: {hook: failures.get(guest, {}).get(hook, 0) for hook in hooks[guest]} for guest in sorted(hooks)}


def counted_freezes(cluster: Cluster, node: str, failed: Mapping[GuestId, int]) -> Mapping[GuestId, int]:
    """Return how many of the last freezes failed, of each guest of a node that has a freeze hook; 0 where none did."""
    guests = sorted(guest.id for guest in cluster.guests.values() if guest.node == node and Hook.FREEZE in guest.hooks)
    return {guest: failed.get(guest, 0) for guest in guests}


def condition(job: Job, state: JobState, active: ActiveRun | None, *, disabled: bool) -> JobCondition:
    """Return the condition of a job."""
    if active is not None and job.removal is None:
        return JobCondition.SYNCING
    if job.removal is not None:
        return JobCondition.REMOVING
    if disabled:
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
    off: Disablement | None = None,
) -> JobStatus:
    """Return the status of a job that is not running; ``passed``: how many more slots of its schedule it has missed."""
    return JobStatus(
        job=job,
        guest=guest,
        source=source,
        state=state,
        condition=condition(job, state, None, disabled=off is not None),
        next_run=due,
        rpo=rpo,
        transfer=None,
        missed_runs=state.missed_runs + passed,
        sent_bytes_total=state.sent_bytes_total,
        unconfirmed=unconfirmed,
        grace_end=None if off or job.removal else nearest_end(state.vanished, Terms(job.grace)),
        disablement=off,
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
        condition=condition(planned.job, known.state, active, disabled=known.is_disabled),
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
    if scheduled.disabled or job.removal:
        return 0
    return missed_runs(scheduled.event, scheduled.zone, state.slots_from, now)
