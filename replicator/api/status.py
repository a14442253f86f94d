"""The status of the daemon at one moment, as frozen dataclasses. Built by the daemon."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from enum import StrEnum

from replicator.api.pvesr_jobs import PvesrJobs
from replicator.models import Guest, Hook, Job, JobCondition, JobId, JobState, Node


@dataclass(frozen=True, slots=True)
class Transfer:
    """A running transfer. ``expected_bytes`` is None while there is no estimate."""

    run: int
    start: float
    step: str
    done_bytes: int
    expected_bytes: int | None
    transferring: bool


@dataclass(frozen=True, slots=True)
class JobStatus:
    """One job as it is now.

    ``rpo`` is the promise in seconds (the job's own or derived); ``next_run`` is None when none comes;
    ``missed_runs`` and ``sent_bytes_total`` include what has not reached ``state.db`` yet. ``unconfirmed`` means that
    the target, its address or a path there was edited and no run has looked since: the last sync is that of the target
    before, which counts until the promise's time has passed. ``grace_end`` is when the first replica of a vanished
    volume will be destroyed (unix time); None: none will be.
    """

    job: Job
    guest: Guest | None
    source: str
    state: JobState
    condition: JobCondition
    next_run: float | None
    rpo: float
    transfer: Transfer | None
    missed_runs: int
    sent_bytes_total: int
    unconfirmed: bool = False
    grace_end: float | None = None

    @property
    def is_replica_lost(self) -> bool:
        """Whether the target held a whole copy once and holds none now; never of a target that was not looked at."""
        return self.state.is_replica_lost and not self.unconfirmed

    @property
    def is_claim_confirmed(self) -> bool:
        """Whether what was proven was proven on the target that the job has now, as far as this node knows."""
        return not self.unconfirmed and not self.state.awaits_first_copy

    @property
    def lost_if_dead_now(self) -> float | None:
        """Unix time back to which the guest would fall if its node died now; None: nothing is on the target."""
        return self.state.last_sync

    @property
    def is_promised(self) -> bool:
        """Whether anything is promised: nothing is for a job that is disabled or being removed."""
        return not self.job.disabled and self.job.removal is None

    @property
    def promise_start(self) -> float:
        """Unix time from which the promise counts: the last sync; without one as in `JobState.created`."""
        return self.state.created if self.state.last_sync is None else self.state.last_sync

    def is_overdue(self, now: float) -> bool:
        """Whether the replica is lost or older than ``rpo``, whatever is promised and whatever is being sent."""
        return self.is_replica_lost or now - self.promise_start > self.rpo

    def is_promise_broken(self, now: float) -> bool:
        """Whether the promise is broken.

        A first copy may take its time while it is being sent; a lost replica breaks the promise at once.
        """
        first = self.state.last_sync is None and self.transfer is not None and self.state.consecutive_failures == 0
        return self.is_promised and self.is_overdue(now) and (self.is_replica_lost or not first)


@dataclass(frozen=True, slots=True)
class ConfigStatus:
    """Whether the settings were read at the last try, when that last succeeded, and the problems."""

    ok: bool
    last_success: float
    problems: tuple[str, ...] = ()

    @property
    def obstacles(self) -> tuple[str, ...]:
        """The reasons why this node is not ready, in sentences."""
        if self.ok:
            return ()
        return self.problems or ("The settings have not been read yet.",)


@dataclass(frozen=True, slots=True)
class RunHistogram:
    """Durations of finished runs since the daemon's start: cumulative counts by upper bound (seconds)."""

    buckets: tuple[tuple[float, int], ...]
    sum: float
    count: int


@dataclass(frozen=True, slots=True)
class HeldReplica:
    """A guest's replicas on a storage of this node, held for another node, as read from this node's ZFS.

    ``used`` is the bytes that they take with their snapshots; None where this ZFS does not report it. ``ahead``: one of
    them has a newer set than the guest's others, so they are of different moments.
    """

    guest: int
    source: str
    storage: str
    last_sync: float
    used: int | None = None
    ahead: bool = False


@dataclass(frozen=True, slots=True)
class GuestOwner:
    """The node that owns a guest, and its epoch, as the cluster store has them."""

    node: str
    epoch: int


@dataclass(frozen=True, slots=True)
class JobHistory:
    """Totals of a job's runs in a period, without cancelled ones. ``slowest``: seconds of the longest run."""

    runs: int
    failures: int
    sent_bytes: int
    slowest: float


class PoolRole(StrEnum):
    """The role of a pool of this node: zsr replicates from it, receives into it, or both."""

    SOURCE = "source"
    TARGET = "target"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class PoolSpace:
    """A pool of this node that zsr works with, in bytes that datasets can use: after parity and ZFS' own reserve."""

    pool: str
    role: PoolRole
    size: int
    free: int


@dataclass(frozen=True, slots=True)
class Status:
    """The whole status of the core, built without I/O.

    Attributes:
        ready: whether settings, cluster store and this node's ZFS were all read when last looked at.
        not_ready: the reasons why not, in sentences.
        nodes: of the whole cluster, this one too.
        diverged: the number of diverged replicas on this node, by guest; a guest that is left out is unknown.
        pools: as of the last inventory of this node.
        clock_skew: by how many seconds a node's clock was ahead of this one's at the last contact.
        source_snapshots: how many snapshots and bookmarks a job has on that volume of its source that has the most;
            None where that is not known.
        timezone: this node's, as its settings say; None: the machine's.
        frozen_since: since when guests of this node may be frozen (unix time); others are missing.
        hook_failures: how often the hooks of this node's guests failed, by guest; each hook that there is, from 0 on.
        owners: of the guests that this node owns, or that have a job to it.
        pvesr: the replication jobs of Proxmox VE in this cluster, as of the last look.
    """

    time: float
    node: str
    version: str
    zfs_version: str
    started: float
    ready: bool
    jobs: tuple[JobStatus, ...]
    reachable: Mapping[str, bool]
    queue_length: int
    scheduler_lag: float
    event_loop_lag: float
    config: ConfigStatus
    durations: Mapping[str, RunHistogram]
    replicas: tuple[HeldReplica, ...] = ()
    diverged: Mapping[int, int] = field(default_factory=dict)
    not_ready: tuple[str, ...] = ()
    nodes: tuple[Node, ...] = ()
    pools: tuple[PoolSpace, ...] = ()
    clock_skew: Mapping[str, float] = field(default_factory=dict)
    source_snapshots: Mapping[JobId, int | None] = field(default_factory=dict)
    timezone: tzinfo | None = None
    frozen_since: Mapping[int, float] = field(default_factory=dict)
    hook_failures: Mapping[int, Mapping[Hook, int]] = field(default_factory=dict)
    owners: Mapping[int, GuestOwner] = field(default_factory=dict)
    pvesr: PvesrJobs = field(default_factory=PvesrJobs)

    def job(self, job_id: JobId) -> JobStatus | None:
        """Return the status of one job, or None if there is no such job on this node."""
        return next((status for status in self.jobs if status.job.id == job_id), None)
