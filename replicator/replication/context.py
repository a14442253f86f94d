"""The input and output of a run: its context, the recorder of what it proved, and its result."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from replicator.common.snapshot_patterns import SnapshotPatterns
from replicator.hosts.pump import Line
from replicator.hosts.stream import Limits
from replicator.models import RATE_UNIT, Guest, GuestId, Job, JobId, KnownSets, Storage, Synced, Vanished
from replicator.replication.file_keeper import GuestFiles
from replicator.replication.half_received import PastFailure
from replicator.replication.hooks import HookRecorder
from replicator.replication.inventory_cache import InventoryCache
from replicator.zfs.fence import Fence


async def at_once() -> bool:
    """Let a full copy begin: no other run is waited for."""
    return False


@dataclass(frozen=True, slots=True)
class OtherJobs:
    """What a run may know of other jobs, whose replicas its volumes may continue.

    Attributes:
        jobs, guests: those of the cluster.
        known: what this node remembers of a job's sets; empty where it does not know the job.
        lock: takes a guest's lock while a body runs, at once or not at all (BusyError).
        ended: records that a replica of a job, of this GUID, does not wait for its volume any more.
        keeps: returns the values of ``keep`` that a job has, and lately had.
        inherit: records that a job got restore points of which others wanted so much (``keep``), since a time.
    """

    jobs: Mapping[JobId, Job]
    guests: Mapping[GuestId, Guest]
    known: Callable[[JobId], Awaitable[KnownSets]]
    lock: Callable[[GuestId], AbstractContextManager[None]]
    ended: Callable[[JobId, int], Awaitable[None]]
    keeps: Callable[[JobId], Awaitable[tuple[str, ...]]]
    inherit: Callable[[Job, tuple[str, ...], float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class RunContext:
    """The job, its guest, the storages of the cluster, and the state after the last run.

    Attributes:
        stall_timeout: seconds without a byte after which a transfer fails.
        remembered: what was last proven.
        last_run_failed: the last run did not succeed, so that this one has to look at everything.
        inventory_cache: given where other runs are due at the same time.
        bookmarks: whether the sets are bookmarked on the source.
        due: the moment since when this run is due (unix seconds).
        address: the target's address as configured.
        vanished: the records of replicas whose volumes are gone.
        neighbours: the other guests of the source node.
        failures: the job's last runs, newest first, up to the last one that did not fail.
        begin_full_copy: waits until the run may send a volume in full; returns whether that took time.
        lines: the lines of both nodes, where they have a limit.
        others: the other jobs; None: no replica of theirs is continued.
        former_keeps: the values of ``keep`` that the job had until lately, without an order by ``zsr update``.
        guest_files: where files of guests are kept; None: none are.
    """

    job: Job
    guest: Guest
    storages: tuple[Storage, ...]
    stall_timeout: float
    remembered: Synced
    last_run_failed: bool
    inventory_cache: InventoryCache | None = None
    due: float = 0.0
    bookmarks: bool = True
    address: str = ""
    failures: tuple[PastFailure, ...] = ()
    begin_full_copy: Callable[[], Awaitable[bool]] = at_once
    vanished: tuple[Vanished, ...] = ()
    neighbours: tuple[Guest, ...] = ()
    others: OtherJobs | None = None
    lines: tuple[Line, ...] = ()
    former_keeps: tuple[str, ...] = ()
    guest_files: GuestFiles | None = None

    @property
    def limits(self) -> Limits:
        """The limits of its streams."""
        rate = None if self.job.rate is None else self.job.rate * RATE_UNIT
        return Limits(rate, self.stall_timeout, lines=self.lines)

    @property
    def travels(self) -> SnapshotPatterns:
        """The snapshots of others that travel."""
        return SnapshotPatterns.parse(self.job.snapshots)

    @property
    def fence(self) -> Fence:
        """The owner and epoch of the guest, which the volumes on both sides must pass."""
        return Fence(self.job.id, self.guest.node, self.guest.epoch)


@dataclass(frozen=True, slots=True)
class RunResult:
    """The result of a successful run; ``sent_bytes`` counts the streams, 0 when nothing had changed."""

    last_sync: float
    sent_bytes: int
    unreplicated_bytes: int | None


class OtherTarget(Protocol):
    """Records that a run found another target; see `RunRecorder.other_target`."""

    def __call__(self, synced: Synced, *, replaced: bool) -> Awaitable[None]:
        """Make it durable."""


class SeenVanished(Protocol):
    """Records what a run saw of vanished volumes; see `RunRecorder.vanished`."""

    def __call__(
        self, found: Mapping[str, int], back: Collection[str], unread: Collection[str], /
    ) -> Awaitable[Sequence[Vanished]]:
        """Make it durable, and return the records."""


@dataclass(frozen=True, slots=True)
class RunRecorder:
    """Records what a run proved and found; durable when the call returns.

    Attributes:
        synced: the set that is proven to be on the target; an empty `Synced` if the target holds no whole copy.
        resume_pending: whether the target has a half-received state.
        vanished: the job's replicas on the target whose volumes are gone from the source: all of them with their GUIDs,
            by full dataset name, also where there are none; ``back``, the replicas of its volumes; and ``unread``, the
            storages' paths that could not be read there, of which nothing is known. To be called once by each run that
            has seen both sides. Returns their records; the destruction of those that are ``ending`` is begun by that.
        graces_ended: the replicas that were destroyed after their grace; why others were kept, by dataset; and those of
            them of which a failure does not say whether they were destroyed in spite of it.
        replaced: the GUIDs of the volumes of a guest that have nothing in common with its replicas, and those by name.
        went_back: the sets (unix times) that the source lacks although they are proven on the target, by replica.
        other_target: the target is not the one that was remembered, and this is what may be claimed of it; what was
            found on the old one is forgotten. ``replaced``: nobody edited it, so a copy that is not there is lost.
        hooks: records what the guest's hooks do.
    """

    synced: Callable[[Synced], Awaitable[None]]
    resume_pending: Callable[[bool], Awaitable[None]]
    vanished: SeenVanished
    graces_ended: Callable[[Collection[str], Mapping[str, str], Collection[str]], Awaitable[None]]
    replaced: Callable[[Sequence[int], Sequence[str]], Awaitable[None]]
    went_back: Callable[[Mapping[str, Sequence[int]]], Awaitable[None]]
    other_target: OtherTarget
    hooks: HookRecorder


def may_snapshot_first(context: RunContext, last_set: int | None, pools: Collection[str], *, programs: bool) -> bool:
    """Return whether a run may take the source's snapshot before the target was listed.

    Args:
        context: the job and its guest.
        last_set: the set that is known to be on the target, if any.
        pools: those on which the guest may have volumes.
        programs: the source's ZFS runs channel programs.
    """
    guest = context.guest
    return (
        not context.last_run_failed
        and last_set is not None
        and guest.freeze is None
        and guest.thaw is None
        and len(pools) == 1
        and programs
    )
