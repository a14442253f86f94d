"""Builders of the core's status in scripted states, and a core that returns them.

Every builder takes ``now`` (unix seconds, default the fixed ``NOW``); pass the real time where a real Prometheus asks
``time()``. Builders return frozen facts; change one with ``dataclasses.replace``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from replicator import __version__
from replicator.api.certificate import Certificate
from replicator.api.coverage import GuestCoverage
from replicator.api.disagreement import ClusterView
from replicator.api.held import AsideKind, HeldReplica, KeptAside, PoolRole, PoolSpace, StorageSpace, TargetLook
from replicator.api.job_status import JobHistory, JobStatus, Transfer
from replicator.api.plugin import PluginStore
from replicator.api.status import ConfigStatus, GuestOwner, RunHistogram, Status
from replicator.errors import ErrorClass
from replicator.events import Event
from replicator.job_choices import Removal
from replicator.models import Failure, Guest, GuestId, Job, JobCondition, JobId, JobState, KnownSets, Node, TargetPlace

NOW = 1_800_000_000.0
"""The fixed time of statuses that are not compared with a real clock."""

QUARTER = 900.0
DAY = 86_400.0
BOUNDS = (1.0, 5.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 86_400.0, float("inf"))


LOOK = TargetLook(
    (HeldReplica(100, "alpha", "tank", NOW - 60),), {100: 1}, (PoolSpace("tank", PoolRole.TARGET, 100, 70),)
)
"""What alpha saw on a target that runs no zsr."""


def healthy(job_id: str = "100-0", *, now: float = NOW, target: str = "beta", guest_name: str = "") -> JobStatus:
    """A job of a week that last synced five minutes ago and runs again in ten."""
    parsed = JobId.from_text(job_id)
    volume = f"local-zfs:vm-{parsed.guest}-disk-0"
    sync = now - 300
    return JobStatus(
        job=Job(id=parsed, target=target),
        guest=Guest(id=parsed.guest, name=guest_name or f"guest-{parsed.guest}", node="alpha"),
        source="alpha",
        state=JobState(
            created=now - 7 * DAY,
            last_try=sync,
            last_start=sync,
            last_sync=sync,
            last_set=sync,
            last_duration=12.5,
            last_sent_bytes=40_000_000,
            runs_succeeded=672,
            sent_bytes_total=30_000_000_000,
            unreplicated_bytes=8_000_000,
            sets=KnownSets(proven=int(sync), volumes=(volume,)),
        ),
        condition=JobCondition.OK,
        next_run=now + 600,
        rpo=2 * QUARTER,
        transfer=None,
        missed_runs=0,
        sent_bytes_total=30_000_000_000,
    )


def syncing(
    job_id: str = "100-0", *, now: float = NOW, done: int = 250_000_000, expected: int | None = 1_000_000_000
) -> JobStatus:
    """A job in the middle of a transfer that began a minute ago; ``done`` bytes are through."""
    well = healthy(job_id, now=now)
    start = now - 60
    return replace(
        well,
        state=replace(well.state, last_try=start, last_start=start, last_sync=start - QUARTER),
        condition=JobCondition.SYNCING,
        next_run=now + 840,
        transfer=Transfer(
            run=673, start=start, step="transfer", done_bytes=done, expected_bytes=expected, transferring=True
        ),
        sent_bytes_total=well.sent_bytes_total + done,
    )


def failing(
    job_id: str = "100-0",
    *,
    now: float = NOW,
    error_class: ErrorClass = ErrorClass.NETWORK,
    consecutive: int = 3,
    ever_synced: bool = True,
    message: str = "Node beta does not answer on port 22.",
) -> JobStatus:
    """A job whose last ``consecutive`` runs failed, the newest two minutes ago; its promise was broken an hour ago."""
    well = healthy(job_id, now=now)
    return replace(
        well,
        state=replace(
            well.state,
            last_try=now - 120,
            last_start=now - 120,
            last_sync=now - 5400 if ever_synced else None,
            last_duration=10.0,
            last_sent_bytes=0,
            consecutive_failures=consecutive,
            failing_since=now - 4500,
            failure=Failure(error_class, message, "Check that the node is up and its SSH port answers."),
            runs_succeeded=well.state.runs_succeeded if ever_synced else 0,
            runs_failed=consecutive,
            missed_runs=4,
            errors=((error_class, consecutive),),
        ),
        condition=JobCondition.ERROR,
        next_run=now + 780,
        missed_runs=4,
    )


def never_ran(job_id: str = "100-0", *, now: float = NOW) -> JobStatus:
    """A job made ten seconds ago that waits for its first run."""
    return replace(
        healthy(job_id, now=now),
        state=JobState(created=now - 10),
        condition=JobCondition.PENDING,
        next_run=now,
        sent_bytes_total=0,
    )


def first_copy(job_id: str = "100-0", *, now: float = NOW, age: float = 600.0) -> JobStatus:
    """A job made ``age`` seconds ago that has sent its first copy for a minute."""
    sending = syncing(job_id, now=now)
    state = JobState(created=now - age, last_try=now - 60, last_start=now - 60)
    return replace(sending, state=state, sent_bytes_total=250_000_000)


def lost(job_id: str = "100-0", *, now: float = NOW) -> JobStatus:
    """A job of a week whose replica is gone from the target, and is being sent again for a minute."""
    sending = syncing(job_id, now=now)
    return replace(sending, state=replace(sending.state, last_sync=None))


def forgotten(job_id: str = "100-0", *, now: float = NOW, age: float = 600.0) -> JobStatus:
    """A job of which nothing is known since ``state.db`` was made ``age`` seconds ago, and whose runs fail."""
    failed = failing(job_id, now=now, ever_synced=False)
    state = replace(failed.state, created=now - age, failing_since=now - age, missed_runs=0)
    return replace(failed, state=state, forgotten=True, missed_runs=0)


def unconfirmed(job_id: str = "100-0", *, now: float = NOW) -> JobStatus:
    """A job that is well, and whose target was edited since its last run."""
    return replace(healthy(job_id, now=now), unconfirmed=True)


def without_first_copy_on_new_target(job_id: str = "100-0", *, now: float = NOW) -> JobStatus:
    """A job of which a run found another target an hour ago, to which it has sent the first copy for a minute."""
    gone = lost(job_id, now=now)
    return replace(gone, state=replace(gone.state, created=now - 3600, place=TargetPlace("beta", "", held=False)))


def disabled(job_id: str = "100-0", *, now: float = NOW) -> JobStatus:
    """A job that ran well until it was disabled a day ago."""
    well = healthy(job_id, now=now)
    stop = now - DAY
    return replace(
        well,
        job=replace(well.job, disabled=True),
        state=replace(well.state, last_try=stop, last_start=stop, last_sync=stop, disabled_since=stop),
        condition=JobCondition.DISABLED,
        next_run=None,
    )


def untidy(job: JobStatus, since: float) -> JobStatus:
    """The job, whose runs have not been able to destroy old snapshots since a time."""
    return replace(job, state=replace(job.state, untidy_since=since))


def removing(job_id: str = "100-0", *, now: float = NOW) -> JobStatus:
    """A job that is marked for removal with its replicas."""
    well = healthy(job_id, now=now)
    return replace(
        well,
        job=replace(well.job, removal=Removal.FULL),
        state=replace(well.state, removal_since=now - 60),
        condition=JobCondition.REMOVING,
        next_run=now + 600,
    )


def many(count: int, *, now: float = NOW) -> tuple[JobStatus, ...]:
    """``count`` healthy jobs of as many guests, from 100-0 upward."""
    return tuple(healthy(f"{guest}-0", now=now) for guest in range(100, 100 + count))


def every_state(*, now: float = NOW) -> tuple[JobStatus, ...]:
    """One job in each condition, in the order ok, syncing, error, pending, disabled, removing; 100-0 to 105-0.

    The first one keeps a replica whose grace ends in six days; its guest was replaced, and went back, two days ago.
    """
    first = healthy("100-0", now=now)
    changed = replace(first.state, replaced_at=now - 2 * DAY, went_back_at=now - 2 * DAY)
    return (
        replace(first, state=changed, grace_end=now + 6 * DAY),
        syncing("101-0", now=now),
        failing("102-0", now=now),
        never_ran("103-0", now=now),
        disabled("104-0", now=now),
        removing("105-0", now=now),
    )


def histogram(durations: Iterable[float] = ()) -> RunHistogram:
    """The histogram of these durations (seconds)."""
    seen = tuple(durations)
    return RunHistogram(
        buckets=tuple((bound, sum(1 for duration in seen if duration <= bound)) for bound in BOUNDS),
        sum=sum(seen),
        count=len(seen),
    )


def status(
    *jobs: JobStatus,
    now: float = NOW,
    ready: bool = True,
    reachable: Mapping[str, bool] | None = None,
    config: ConfigStatus | None = None,
    queue_length: int = 0,
    scheduler_lag: float = 0.0,
) -> Status:
    """The whole core with these jobs, on node alpha, started a week ago."""
    found = Status(
        time=now,
        node="alpha",
        version=__version__,
        zfs_version="2.3.2",
        started=now - 7 * DAY,
        ready=ready,
        jobs=jobs,
        reachable={"beta": True} if reachable is None else reachable,
        queue_length=queue_length,
        scheduler_lag=scheduler_lag,
        event_loop_lag=0.001,
        config=config or ConfigStatus(ok=True, last_success=now - 7 * DAY),
        durations={"success": histogram((2.0, 12.5, 45.0)), "failure": histogram(), "cancelled": histogram()},
        not_ready=() if ready else ("The ZFS of this node has not answered yet.",),
        nodes=(Node("alpha", "10.0.0.1"), Node("beta", "10.0.0.2")),
        clock_skew={"beta": -0.25},
        source_snapshots={job.job.id: 3 for job in jobs},
        foreign_snapshots={job.job.id: 12 for job in jobs},
        owners={job.job.id.guest: GuestOwner(job.source, 1) for job in jobs},
    )
    return _with_storage(found, now)


def _with_storage(found: Status, now: float) -> Status:
    """A status with what its node's own ZFS says."""
    return replace(
        found,
        replicas=(held_replica(300, "gamma", now - 100.0, used=3 << 30),),
        diverged={300: 0, 301: 2},
        asides=(KeptAside(301, AsideKind.DIVERGED, 2, now - DAY, 1 << 30),),
        pools=(
            PoolSpace("rpool", PoolRole.SOURCE, 10**12, 4 * 10**11),
            PoolSpace("tank", PoolRole.BOTH, 10**13, 10**12),
        ),
        storages=(
            StorageSpace("local-zfs", "rpool", PoolRole.SOURCE, 10**12, 4 * 10**11),
            StorageSpace("big", "tank", PoolRole.BOTH, 10**13, 10**12),
        ),
        zfs_readable=found.ready,
        looked_at={"alpha": now - 30, "beta": now - 300},
        view=ClusterView("0123456789abcdef", "file", "boot-of-alpha"),
        state_created=now - 30 * DAY,
    )


def held_replica(guest: GuestId, source: str, last_sync: float, *, used: int = 5 << 30) -> HeldReplica:
    """What a node holds of a guest: one volume with two restore points, a day apart."""
    oldest = last_sync - DAY
    return HeldReplica(guest, source, "local-zfs", last_sync, used, points=2, oldest_point=oldest, points_missing=0)


def covered(*jobs: JobStatus) -> dict[GuestId, GuestCoverage]:
    """The guests of these jobs, with no volume that is left out."""
    return {job.job.id.guest: GuestCoverage(job.guest.name if job.guest else "", (job.job.id,)) for job in jobs}


@dataclass
class FakeMemory:
    """A plugin's notes, kept in a dict."""

    notes: dict[str, str] = field(default_factory=dict)

    def get(self, key: str) -> str | None:
        return self.notes.get(key)

    def put(self, key: str, value: str | None) -> None:
        if value is None:
            self.notes.pop(key, None)
        else:
            self.notes[key] = value

    def items(self, prefix: str) -> dict[str, str]:
        return {key: self.notes[key] for key in sorted(self.notes) if key.startswith(prefix)}

    def put_all(self, notes: Mapping[str, str | None]) -> None:
        for key, value in notes.items():
            self.put(key, value)


class FakeCore:
    """A core that shows what a test sets: implements ``replicator.api.plugin.Core``.

    ``journal`` holds the published events; the first has number 1. ``memories`` outlives a plugin's run, so running a
    plugin twice on one FakeCore plays a restart.
    """

    def __init__(self, picture: Status | None = None) -> None:
        self.picture = picture or status()
        self.journal: list[Event] = []
        self.memories: dict[str, FakeMemory] = {}
        self.histories: dict[JobId, JobHistory] = {}
        self.certificates: tuple[Certificate, ...] = ()
        self.unreported: tuple[JobId, ...] | None = None
        self._published = asyncio.Condition()

    def set_status(self, *jobs: JobStatus, now: float = NOW) -> None:
        """Show these jobs from now on."""
        self.picture = status(*jobs, now=now)

    async def publish(self, *events: Event) -> None:
        """Write events to the journal and wake who waits for them."""
        async with self._published:
            self.journal.extend(events)
            self._published.notify_all()

    def status(self) -> Status:
        return self.picture

    async def events(self, after: int) -> list[tuple[int, Event]]:
        async with self._published:
            await self._published.wait_for(lambda: len(self.journal) > after)
            return list(enumerate(self.journal, start=1))[after:]

    def last_event(self) -> int:
        return len(self.journal)

    def first_event(self) -> int:
        return min(1, len(self.journal))

    async def history(self, begin: float, end: float) -> Mapping[JobId, JobHistory]:
        return self.histories

    def show_certificates(self, certificates: Sequence[Certificate]) -> None:
        self.certificates = tuple(certificates)

    def show_unreported(self, jobs: Collection[JobId] | None) -> None:
        self.unreported = None if jobs is None else tuple(sorted(jobs))

    def memory(self, plugin: str) -> PluginStore:
        return self.memories.setdefault(plugin, FakeMemory())
