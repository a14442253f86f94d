"""Events: the facts that the core publishes and that plugins turn into metrics and messages.

The durable ones are written to the journal in ``state.db`` in the same transaction as the state change that they
report, so a plugin that was down at that time still gets them.
"""

from __future__ import annotations

from dataclasses import dataclass

from replicator.errors import ErrorClass
from replicator.models import DrillResult, JobId


@dataclass(frozen=True, slots=True)
class RunStarted:
    """A run has begun."""

    time: float
    job: JobId
    run: int


@dataclass(frozen=True, slots=True)
class RunSucceeded:
    """A run ended with every volume proven on the target.

    ``recovered_after`` is the number of failures it ended (0 when there were none), ``failing_since`` their beginning.
    """

    time: float
    job: JobId
    run: int
    last_sync: float
    duration: float
    sent_bytes: int
    recovered_after: int = 0
    failing_since: float | None = None


@dataclass(frozen=True, slots=True)
class RunFailed:
    """A run failed; ``consecutive`` counts this failure too. ``last_sync`` is None if there never was one."""

    time: float
    job: JobId
    run: int
    error_class: ErrorClass
    message: str
    advice: str
    consecutive: int
    failing_since: float
    last_sync: float | None
    next_run: float | None


@dataclass(frozen=True, slots=True)
class RunCancelled:
    """A run was stopped on request; it counts neither as success nor as failure."""

    time: float
    job: JobId
    run: int


@dataclass(frozen=True, slots=True)
class ReplicaLost:
    """A run found that the target holds no whole copy any more, where it had held one.

    ``last_sync`` is the moment that the lost copy had reached.
    """

    time: float
    job: JobId
    run: int
    last_sync: float


@dataclass(frozen=True, slots=True)
class VolumesVanished:
    """A run found replicas whose volumes are gone from the source; the replicas stay.

    ``volumes`` are the replicas' datasets on the target, without those that were known before. ``end`` is when they
    will be destroyed if nothing changes (unix time); None: never.
    """

    time: float
    job: JobId
    run: int
    volumes: tuple[str, ...]
    end: float | None = None


@dataclass(frozen=True, slots=True)
class GraceEnding:
    """The replicas of vanished volumes will be destroyed at ``end`` (unix time), if the volumes do not come back."""

    time: float
    job: JobId
    run: int
    volumes: tuple[str, ...]
    end: float


@dataclass(frozen=True, slots=True)
class GraceEnded:
    """Replicas of vanished volumes are gone from the target: a run destroyed them when their grace was over."""

    time: float
    job: JobId
    run: int
    volumes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GuestReplaced:
    """None of a guest's volumes has a snapshot in common with its replicas, though those hold sets of the job.

    ``volumes`` are the replicas, which stay.
    """

    time: float
    job: JobId
    run: int
    volumes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SourceWentBack:
    """The source lacks sets that are proven on the target: it was rolled back, or restored from an image.

    ``volumes`` are the replicas, which are set aside with these sets: ``sets`` is how many there are, ``newest`` when
    the newest was taken (unix time).
    """

    time: float
    job: JobId
    run: int
    volumes: tuple[str, ...]
    sets: int
    newest: float


@dataclass(frozen=True, slots=True)
class GuestFrozen:
    """A guest's thaw hook failed, so that it may still be frozen; once, until it is thawed.

    ``job`` and ``run`` are those that it was frozen for, ``since`` when (unix time). ``message`` says how the hook
    failed, ``command`` is the hook.
    """

    time: float
    job: JobId
    run: int
    since: float
    message: str
    command: str


@dataclass(frozen=True, slots=True)
class GuestThawed:
    """A guest of which a `GuestFrozen` was recorded has been thawed; ``since``: when it was frozen (unix time)."""

    time: float
    job: JobId
    run: int
    since: float


@dataclass(frozen=True, slots=True)
class GuestDrilled:
    """A drill of a guest on the target ``node`` of a job ended; the journal has those that could be done.

    ``message`` says what was found, ``set_time`` of what moment the set was (unix time; None: there was none), and
    ``duration`` the seconds that it took. ``recovered``: it passed, and the one before it had failed.
    """

    time: float
    job: JobId
    node: str
    result: DrillResult
    message: str
    set_time: int | None
    duration: float
    recovered: bool = False


@dataclass(frozen=True, slots=True)
class GuestMoved:
    """A guest went on on another node: it was moved, or ``recovered`` while its ``former`` node was dead.

    ``job`` replicates back to the former node. ``downtime`` is how many seconds the guest was off; None: not known.
    """

    time: float
    job: JobId
    former: str
    node: str
    epoch: int
    downtime: float | None
    recovered: bool


@dataclass(frozen=True, slots=True)
class JobRemoved:
    """A job is gone from the cluster store."""

    time: float
    job: JobId


@dataclass(frozen=True, slots=True)
class JobVanished:
    """A job is gone from the cluster store though nobody removed it by ``zsr delete``; its state is kept for a while.

    ``target`` is the node that it replicated to, empty where that is not known; ``last_sync`` what is there.
    """

    time: float
    job: JobId
    target: str
    last_sync: float | None


Event = (
    RunStarted
    | RunSucceeded
    | RunFailed
    | RunCancelled
    | ReplicaLost
    | VolumesVanished
    | GraceEnding
    | GraceEnded
    | GuestReplaced
    | SourceWentBack
    | GuestFrozen
    | GuestThawed
    | GuestDrilled
    | GuestMoved
    | JobRemoved
    | JobVanished
)
