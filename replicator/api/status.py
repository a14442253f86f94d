"""The status of the daemon at one moment, as frozen dataclasses. Built by the daemon."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from enum import StrEnum

from replicator.api.certificate import Certificate
from replicator.api.coverage import GuestCoverage
from replicator.api.disagreement import ClusterView, Disagreement
from replicator.api.drills import GuestDrills
from replicator.api.held import HeldReplica, KeptAside, PoolSpace, StorageSpace, TargetLook
from replicator.api.job_status import JobStatus
from replicator.api.moves import GuestMoves, MovingGuest
from replicator.api.pvesr_jobs import PvesrJobs
from replicator.errors import ErrorClass
from replicator.models import GuestId, Hook, JobId, Node


@dataclass(frozen=True, slots=True)
class ConfigStatus:
    """Whether the settings were read at the last try, when that last succeeded, and the problems.

    ``pending``: the keys of this node's settings that were changed since the daemon's start, which reads them.
    """

    ok: bool
    last_success: float
    problems: tuple[str, ...] = ()
    pending: tuple[str, ...] = ()

    @property
    def obstacles(self) -> tuple[str, ...]:
        """The reasons why this node is not ready, in sentences."""
        if self.ok:
            return ()
        return self.problems or ("The settings have not been read yet.",)


@dataclass(frozen=True, slots=True)
class PluginEnds:
    """How often a plugin ended with an error since the daemon's start; when it last did (unix time), and why."""

    count: int = 0
    last: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class RunHistogram:
    """Durations of finished runs since the daemon's start: cumulative counts by upper bound (seconds)."""

    buckets: tuple[tuple[float, int], ...]
    sum: float
    count: int


@dataclass(frozen=True, slots=True)
class GuestOwner:
    """The node that owns a guest, and its epoch, as the cluster store has them."""

    node: str
    epoch: int


class Unmeasured(StrEnum):
    """The reason why it is not known how many bytes of a job wait to be sent.

    STORAGE: a storage of the guest could not be read, or is not there. VOLUMES: which volumes the guest has is not
    clear. ZFS: this node's ZFS does not report it.
    """

    STORAGE = "storage"
    VOLUMES = "volumes"
    ZFS = "zfs"


@dataclass(frozen=True, slots=True)
class Status:
    """The whole status of the core, built without I/O.

    Attributes:
        ready: whether settings, cluster store and this node's ZFS were all read when last looked at.
        not_ready: the reasons why not, in sentences.
        nodes: of the whole cluster, this one too.
        diverged: the number of diverged replicas on this node, by guest; a guest that is left out is unknown.
        pools, storages, asides: as of the last inventory of this node.
        clock_skew: by how many seconds a node's clock was ahead of this one's at the last contact.
        same_machine: the nodes that are the same machine as another one, and which: this one, or one of the others.
        source_snapshots: the highest number of snapshots and bookmarks of a job on one volume of its source; None where
            that is not known. ``foreign_snapshots``: the same of snapshots that no job took.
        timezone: this node's, as its settings say; None: the machine's.
        frozen_since: since when guests of this node may be frozen (unix time); others are missing.
        hook_failures: how often the hooks of this node's guests failed, by guest; 0 for a hook that never did.
        failed_freezes: of the last five freezes of each guest of this node with a freeze hook, those that failed within
            30 days.
        moves: of guests that were moved from this node, or recovered on it.
        drills: of this node's guests that have a schedule of drills, or were ever drilled.
        owners: of the guests that this node owns, or that have a job to it.
        start_failures: how often a run could not begin since the daemon's start, by class.
        blocked: why no run of a job can begin now, other than that its guest is locked.
        pvesr: the replication jobs of Proxmox VE in this cluster, as of the last look.
        vanished_jobs: since when jobs of this node are gone from the cluster that nobody removed (unix time).
        coverage: of the guests of this node, as of the last inventory.
        view: of the cluster, in short.
        disagreements: with the views of other nodes, as the last contact with each showed.
        zfs_readable: whether the last look at this node's ZFS read all of it; False until the first one.
        looked_at: when a node's ZFS was last listed (unix time): this node's all of it, another's by a run from here.
        unmeasured: the jobs whose unreplicated bytes are not known.
        targets: the targets of this node's jobs that run no zsr, by name; one whose last look failed is missing.
        plugins: how often each ended with an error.
        damaged_states: the names of the damaged files ``state.db`` that were moved aside and are still there.
        state_created: when ``state.db`` was made (unix time).
        certificates: that the exporter presents.
        unreported: the jobs whose broken promise would reach nobody; None: this node sends no messages at all.
        state_unwritable_since: since when ``state.db`` cannot be written, so that what happens is remembered in memory
            only and nothing is destroyed (unix time); None: it can.
        unknown_guests: that have volumes on this node and are not in the cluster file; None: not looked yet.
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
    diverged: Mapping[GuestId, int] = field(default_factory=dict)
    not_ready: tuple[str, ...] = ()
    nodes: tuple[Node, ...] = ()
    pools: tuple[PoolSpace, ...] = ()
    storages: tuple[StorageSpace, ...] = ()
    asides: tuple[KeptAside, ...] = ()
    clock_skew: Mapping[str, float] = field(default_factory=dict)
    same_machine: Mapping[str, str] = field(default_factory=dict)
    source_snapshots: Mapping[JobId, int | None] = field(default_factory=dict)
    foreign_snapshots: Mapping[JobId, int | None] = field(default_factory=dict)
    timezone: tzinfo | None = None
    frozen_since: Mapping[GuestId, float] = field(default_factory=dict)
    hook_failures: Mapping[GuestId, Mapping[Hook, int]] = field(default_factory=dict)
    failed_freezes: Mapping[GuestId, int] = field(default_factory=dict)
    owners: Mapping[GuestId, GuestOwner] = field(default_factory=dict)
    pvesr: PvesrJobs = field(default_factory=PvesrJobs)
    start_failures: Mapping[ErrorClass, int] = field(default_factory=dict)
    blocked: Mapping[JobId, str] = field(default_factory=dict)
    vanished_jobs: Mapping[JobId, float] = field(default_factory=dict)
    coverage: Mapping[GuestId, GuestCoverage] = field(default_factory=dict)
    view: ClusterView = field(default_factory=ClusterView)
    disagreements: tuple[Disagreement, ...] = ()
    zfs_readable: bool = True
    looked_at: Mapping[str, float] = field(default_factory=dict)
    unmeasured: Mapping[JobId, Unmeasured] = field(default_factory=dict)
    targets: Mapping[str, TargetLook] = field(default_factory=dict)
    plugins: Mapping[str, PluginEnds] = field(default_factory=dict)
    damaged_states: tuple[str, ...] = ()
    state_created: float = 0.0
    state_unwritable_since: float | None = None
    unknown_guests: tuple[GuestId, ...] | None = None
    certificates: tuple[Certificate, ...] = ()
    unreported: tuple[JobId, ...] | None = None
    drills: tuple[GuestDrills, ...] = ()
    moves: tuple[GuestMoves, ...] = ()
    moving: tuple[MovingGuest, ...] = ()

    @property
    def untidy(self) -> dict[JobId, float]:
        """Since when runs of a job cannot destroy what is to go on either side (unix time); others are missing."""
        return {each.job.id: since for each in self.jobs if (since := each.state.untidy_since) is not None}

    def job(self, job_id: JobId) -> JobStatus | None:
        """Return the status of one job, or None if there is no such job on this node."""
        return next((status for status in self.jobs if status.job.id == job_id), None)
