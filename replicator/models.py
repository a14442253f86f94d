"""The model: nodes, storages, guests, volumes, jobs and a job's state. Frozen dataclasses without behaviour.

Words as in docs/glossary.md. Times are unix seconds (float), sizes bytes, rates bytes per second.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from math import inf

from replicator.errors import ErrorClass
from replicator.ids import GuestId as GuestId  # noqa: PLC0414 - theirs too
from replicator.ids import JobId as JobId  # noqa: PLC0414 - theirs too
from replicator.job_choices import Encryption, Foreign, FreezeFailure, Removal

DEFAULT_SCHEDULE = "*/15"
DEFAULT_KEEP = "1"
MAX_EPOCH = 999_999_999
DRILL_TIMEOUT_SECONDS = 6 * 3600.0
RATE_UNIT = 1_000_000
"""``rate`` is in MB/s of 10^6 bytes (reference: pvesr)."""


@dataclass(frozen=True, slots=True)
class Node:
    """A host with ZFS; ``address``: a name or IP for SSH, or ``local``; ``zsr``: whether it runs a daemon.

    While ``disabled``, and until ``disabled_until``, its jobs wait. See `schedule.rates`, `hosts.replication_network`.
    """

    name: str
    address: str
    port: int = 22
    user: str = "root"
    stream: str = "auto"
    compression: str = "none"
    zsr: bool = True
    disabled: bool = False
    disabled_until: float | None = None
    rate: tuple[str, ...] = ()
    replication_network: str | None = None

    @property
    def is_local(self) -> bool:
        """Whether commands for this node run on this machine without SSH."""
        return self.address == "local"


@dataclass(frozen=True, slots=True)
class Storage:
    """A named ZFS path. ``nodes`` restricts it (None: all); ``paths`` names another path on some nodes."""

    name: str
    path: str
    nodes: frozenset[str] | None = None
    paths: tuple[tuple[str, str], ...] = ()

    def path_on(self, node: str) -> str:
        """Return the ZFS path of this storage on a node."""
        return dict(self.paths).get(node, self.path)

    def allowed_on(self, node: str) -> bool:
        """Return whether the settings let this storage be used on a node."""
        return self.nodes is None or node in self.nodes


@dataclass(frozen=True, order=True, slots=True)
class Volume:
    """One zvol or filesystem of a guest, ``storage:name``."""

    storage: str
    name: str

    def __str__(self) -> str:
        return f"{self.storage}:{self.name}"

    def dataset(self, storage: Storage, node: str) -> str:
        """Return the volume's dataset on a node."""
        return f"{storage.path_on(node)}/{self.name}"


class Hook(StrEnum):
    """A command of a guest, before or after the snapshot."""

    FREEZE = "freeze"
    THAW = "thaw"


@dataclass(frozen=True, slots=True)
class Runtime:
    """A guest's shell commands; ``status`` exits with 0 while it runs, 3 while off; ``prepare`` gets its files."""

    start: str
    stop: str
    status: str
    prepare: str = ""


@dataclass(frozen=True, slots=True)
class Guest:
    """A number, or a group's name, with a set of volumes, owned by one node; ``name`` is for people.

    ``volumes`` lists them by hand; otherwise they are found by name below ``storages`` (empty: all). ``excluded`` are
    not replicated. ``children``: what lies below its volumes is; ``children_of`` says otherwise for some. ``others``:
    volumes that other guests mention. ``epoch`` goes up with each change of owner. ``hooks_refused``: why its commands
    must not run. ``moving_to``: a node. ``drill``: a calendar event; ``drill_off``: none is wanted. ``files``: paths.
    """

    id: GuestId
    name: str
    node: str
    storages: tuple[str, ...] = ()
    volumes: tuple[Volume, ...] = ()
    excluded: frozenset[Volume] = frozenset()
    freeze: str | None = None
    thaw: str | None = None
    hook_timeout: float = 60.0
    on_freeze_failure: FreezeFailure = FreezeFailure.WARNING
    epoch: int = 1
    hooks_refused: str = ""
    children: bool = True
    children_of: tuple[tuple[Volume, bool], ...] = ()
    others: frozenset[Volume] = frozenset()
    runtime: Runtime | None = None
    stop_timeout: float = 180.0
    moving_to: str | None = None
    drill: str | None = None
    drill_off: bool = False
    check: str | None = None
    drill_timeout: float = DRILL_TIMEOUT_SECONDS
    files: tuple[str, ...] = ()

    @property
    def hooks(self) -> Mapping[Hook, str]:
        """The hooks that it has, and their commands."""
        return {hook: each for hook, each in ((Hook.FREEZE, self.freeze), (Hook.THAW, self.thaw)) if each is not None}


@dataclass(frozen=True, slots=True)
class Job:
    """Replicate one guest to one target node, on a schedule; ``keep`` and ``grace``: see `schedule`.

    ``rate`` is in MB/s; ``rpo`` in seconds, None: twice the schedule's longest gap; ``disabled_until``: unix time.
    ``source``: the node for which it was made (`cluster.followed_guests`); None where an older zsr made it.
    """

    id: JobId
    target: str
    schedule: str = DEFAULT_SCHEDULE
    rate: float | None = None
    comment: str = ""
    disabled: bool = False
    disabled_until: float | None = None
    rpo: float | None = None
    timezone: str | None = None
    keep: str = DEFAULT_KEEP
    snapshots: str = "all"
    foreign: Foreign = Foreign.KEEP
    encryption: Encryption = Encryption.RAW
    grace: float = inf
    removal: Removal | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """The failure of a job's last run: a sentence, its class, and the advice."""

    error_class: ErrorClass
    message: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class KnownSets:
    """A node's memory of a job's sets, by the unix time in their names. If it is lost, nothing is destroyed.

    Attributes:
        proven: the newest set that was ever proven on the target; it stays, also when the target loses it.
        volumes: the guest's volumes that were part of it; empty when not known.
        taken: the sets that this node took as the guest's owner, oldest first.
        sent: the GUIDs of the snapshots that this node brought to the target, and that were not destroyed there since.
        carried: those of them that have the job's name, but that another tool took: they travelled along.
        by_name: the job is older than this memory of GUIDs, so that the names of its snapshots still count.
        elsewhere: the newest set of the time when the job had another target; those up to it may be proven here or not.
        inherited: the GUIDs of another job's sets on replicas that this job took over: restore points like its own.
        gone, asides: how long gone snapshots of others (`replication.gone_snapshots`) and what is aside have waited.
    """

    proven: int | None = None
    volumes: tuple[str, ...] = ()
    taken: tuple[int, ...] = ()
    sent: frozenset[int] = frozenset()
    carried: frozenset[int] = frozenset()
    by_name: bool = False
    elsewhere: int | None = None
    inherited: frozenset[int] = frozenset()
    gone: tuple[tuple[int, float, float], ...] = ()
    asides: tuple[tuple[int, float, float], ...] = ()


@dataclass(frozen=True, slots=True)
class TargetStorage:
    """A storage on a target: its name, its path there as configured, and the GUID of that dataset as a run saw it."""

    storage: str
    path: str
    guid: int


@dataclass(frozen=True, slots=True)
class TargetPlace:
    """The target that a job's last sync and sets belong to. The GUIDs identify it; the rest shows that it was edited.

    Attributes:
        node: the name of the node.
        address: its address as configured, with the port unless that is SSH's own.
        storages: those on which the guest has volumes.
        held: whether a whole copy was ever proven there.
    """

    node: str
    address: str
    storages: tuple[TargetStorage, ...] = ()
    held: bool = True


@dataclass(frozen=True, slots=True)
class Synced:
    """The set that was proven to be on a target.

    Attributes:
        last_sync: the moment (unix seconds) whose content of the source is on the target; None: nothing is there.
        last_set: the time in the name of the snapshots that hold it; earlier than ``last_sync`` when nothing changed.
        sets: what this node remembers of the job's sets.
        place: the target that all this is about; None where that was not recorded.
    """

    last_sync: float | None = None
    last_set: int | None = None
    sets: KnownSets = KnownSets()
    place: TargetPlace | None = None


@dataclass(frozen=True, slots=True)
class Vanished:
    """A replica on the target whose volume is gone from the source, and how long it has waited (`schedule.grace`).

    Attributes:
        dataset, guid: its full name and GUID; 0 where an older zsr recorded it, which did not count the time.
        since, seen: when a run first saw it so, and when its time was last counted (unix times).
        waited: the seconds that count of its grace; ``announced``: what they were when its end was announced.
        ending: its destruction was begun, and its end was not recorded yet.
        kept: why it stays although its grace is over; empty while no run has tried.
    """

    dataset: str
    guid: int
    since: float
    seen: float
    waited: float = 0.0
    announced: float | None = None
    ending: bool = False
    kept: str = ""


@dataclass(frozen=True, slots=True)
class JobState:
    """A node's memory of a job (``state.db``). All but the counters can be derived again from ZFS.

    Attributes:
        created: since when the promise counts without a last sync: the job's creation, or its last sync elsewhere.
        last_try: start of the last attempt; 0 when never tried or when scheduled by hand for now.
        last_start: start of the last attempt, also after schedule-now; 0 when never.
        last_sync, last_set, sets, place: as in `Synced`; None until there is one.
        failing_since: start of the first of the consecutive failures.
        slots_from: since when slots of the schedule that pass without a start count as missed; 0: they do not.
        vanished: the replicas on the target whose volumes are gone from the source, by name.
        replaced_at, went_back_at: when a run last found the guest's volumes replaced, or its source gone back in time.
        untidy_since, disabled_since, removal_since: since when tidying fails, and it is disabled or being removed here.
    """

    created: float
    last_try: float = 0.0
    last_start: float = 0.0
    last_sync: float | None = None
    last_set: float | None = None
    last_duration: float | None = None
    last_sent_bytes: int | None = None
    consecutive_failures: int = 0
    failing_since: float | None = None
    failure: Failure | None = None
    runs_succeeded: int = 0
    runs_failed: int = 0
    runs_cancelled: int = 0
    missed_runs: int = 0
    sent_bytes_total: int = 0
    unreplicated_bytes: int | None = None
    resume_pending: bool = False
    errors: tuple[tuple[ErrorClass, int], ...] = field(default=())
    slots_from: float = 0.0
    sets: KnownSets = KnownSets()
    vanished: tuple[Vanished, ...] = ()
    place: TargetPlace | None = None
    replaced_at: float | None = None
    went_back_at: float | None = None
    untidy_since: float | None = None
    disabled_since: float | None = None
    removal_since: float | None = None

    @property
    def awaits_first_copy(self) -> bool:
        """Whether the job has another target than before, and that one has not held a whole copy yet."""
        return self.place is not None and not self.place.held

    @property
    def synced(self) -> Synced:
        """What was last proven to be on the target."""
        return Synced(self.last_sync, None if self.last_set is None else int(self.last_set), self.sets, self.place)

    @property
    def is_replica_lost(self) -> bool:
        """Whether the target held a whole copy once and holds none now."""
        return self.last_sync is None and self.runs_succeeded > 0 and not self.awaits_first_copy


class Outcome(StrEnum):
    """How a run ended."""

    SUCCESS = "success"
    FAILURE = "failure"
    CANCELLED = "cancelled"


class DrillResult(StrEnum):
    """How a drill ended. UNDONE: it could not be done, which says nothing of the replicas."""

    PASSED = "passed"
    FAILED = "failed"
    UNDONE = "undone"


class JobCondition(StrEnum):
    """The state of a job in one word (``zsr_job_state``)."""

    OK = "ok"
    SYNCING = "syncing"
    ERROR = "error"
    PENDING = "pending"
    DISABLED = "disabled"
    REMOVING = "removing"
