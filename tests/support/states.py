"""States in which a promise is broken or the monitoring is blind, and what must report each (contract: Metrics).

A state is a fleet over time: the daemons' own status of each minute, as facts, never a rule's expression. The real
exporter makes the series of it, the real grouping the messages, and ``zsr check`` its lines. All is well before a state
begins, at `BEGIN`, and when it has ended.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import ModuleType

from alerts.notice import NoticeKind, Severity
from alerts.routing.routes import Route
from replicator.api.coverage import Gap, UncoveredVolume
from replicator.api.disagreement import Disagreement, Dispute
from replicator.api.held import PoolRole, PoolSpace, StorageSpace
from replicator.api.job_status import JobStatus
from replicator.api.status import Status
from replicator.daemon.health_check import HealthLevel
from replicator.events import Event
from replicator.models import JobId
from tests.support import statuses
from tests.support.statuses import DAY, QUARTER

MINUTE = 60.0
HOUR = 60 * MINUTE
BEGIN = 60
"""The minute at which a state begins."""

Fleet = Mapping[str, Status | None]
"""The status of each daemon by node, of a second cluster by cluster and node ("graz/alpha"); None: no answer."""


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert that must fire, at the latest ``within`` so many minutes after the state began.

    ``labels`` are those of its labels that the state is about.
    """

    name: str
    severity: Severity
    within: int
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Line:
    """A line of ``zsr check`` on a node, while the state lasts: its verdict, and words that are in it."""

    level: HealthLevel
    words: str
    node: str = "alpha"


@dataclass(frozen=True, slots=True)
class Message:
    """A message of a node's zsr, at the latest ``within`` so many minutes after the state began."""

    kind: NoticeKind
    severity: Severity
    within: int
    node: str = "alpha"


@dataclass(frozen=True, slots=True)
class State:
    """A state, and its verdict.

    Attributes:
        key: the review's table and row, e.g. "monitoring 39".
        title: what is the case, in a user's words.
        produced: how a person brings it about.
        fleet: the fleet so many minutes after the state began.
        lasts: minutes after which all is well again.
        alerts: all alerts that fire while it lasts; ``tolerated`` ones may fire too.
        message, check: what zsr itself reports; None: it cannot, and ``why_silent`` says why.
        events: what the journal of a node gets, by minutes after the state began.
        notes: what the alerts plugin has noted of its deliveries, by the same minutes; an error: that cannot be read.
        usable: the plugin's note, while it lasts, of which targets are used.
        calm: the fleet before it begins and after it has ended.
        dropped: the metrics that Prometheus does not keep while it lasts.
        route: what the target of zsr's messages wants; by default all.
        unloaded: rule files that Prometheus never loads; the state has no before and after then.
        outside: for a state that is not zsr's to see: the recipe for an outside watcher. It has no alert then.
        step: minutes between two samples.
        ends: minutes after its end at which no alert fires any more.
    """

    key: str
    title: str
    produced: str
    fleet: Callable[[int], Fleet] = lambda _: {}
    lasts: int = 120
    alerts: tuple[Alert, ...] = ()
    tolerated: tuple[str, ...] = ()
    message: Message | None = None
    check: Line | None = None
    why_silent: str = ""
    events: Mapping[int, tuple[tuple[str, Event], ...]] = field(default_factory=dict)
    notes: Callable[[int], str | Exception | None] = lambda _: None
    usable: str | None = None
    calm: Callable[[int], Fleet] = lambda minute: well(minute)  # noqa: PLW0108 - it is defined below
    dropped: frozenset[str] = frozenset()
    unloaded: frozenset[str] = frozenset()
    route: Route = field(default_factory=Route)
    outside: str = ""
    step: int = 1
    ends: int = 45

    def at(self, minute: int) -> Fleet:
        """The fleet at a minute of the whole story."""
        since = minute - BEGIN
        return self.fleet(since) if 0 <= since < self.lasts else self.calm(minute)


def states(package: ModuleType) -> list[State]:
    """The states of a package: one in each module, as ``STATE``."""
    names = sorted(module.name for module in pkgutil.iter_modules(package.__path__))
    return [importlib.import_module(f"{package.__name__}.{name}").STATE for name in names]


# --- a fleet in which all is well: alpha sends guest 100 to beta every quarter of an hour


def moment(minute: int) -> float:
    """The time of a minute of the story (unix time); the story begins at 0."""
    return minute * MINUTE


def slot(time: float) -> float:
    """The last quarter of an hour at a time."""
    return time - time % QUARTER


def job(minute: int, job_id: str = "100-0", *, target: str = "beta", name: str = "web") -> JobStatus:
    """A job that does what it promises, a week old when the story begins."""
    last = slot(moment(minute))
    runs = int(last // QUARTER)
    found = statuses.healthy(job_id, now=last + 300, target=target, guest_name=name)
    sent = 30_000_000_000 + 40_000_000 * runs
    state = replace(
        found.state, created=-7 * DAY, runs_succeeded=672 + runs, sent_bytes_total=sent, slots_from=-7 * DAY
    )
    return replace(found, state=state, sent_bytes_total=sent)


def source(minute: int, *jobs: JobStatus) -> Status:
    """The node alpha, with these jobs (none given: the one that is well)."""
    found = statuses.status(*(jobs or (job(minute),)), now=moment(minute))
    return replace(
        found,
        started=-7 * DAY,
        replicas=(),
        diverged={},
        asides=(),
        pools=(PoolSpace("rpool", PoolRole.SOURCE, 10**12, 4 * 10**11),),
        storages=(StorageSpace("local-zfs", "rpool", PoolRole.SOURCE, 10**12, 4 * 10**11),),
        config=replace(found.config, last_success=-7 * DAY),
        coverage=statuses.covered(*found.jobs),
    )


def target(minute: int, *, held: float | None = None) -> Status:
    """The node beta, which holds guest 100's replica (``held``: its last sync, if not that of the well job).

    It has no job, so it contacts no node, and knows nothing of the clock or the reachability of any.
    """
    taken = slot(moment(minute)) if held is None else held
    found = replace(source(minute), node="beta", jobs=(), source_snapshots={}, coverage={}, reachable={})
    return replace(
        found,
        clock_skew={},
        replicas=(statuses.held_replica(100, "alpha", taken),),
        diverged={100: 0},
        pools=(PoolSpace("tank", PoolRole.TARGET, 10**13, 5 * 10**12),),
        storages=(StorageSpace("local-zfs", "tank", PoolRole.TARGET, 10**13, 5 * 10**12),),
        looked_at={"beta": moment(minute)},
    )


def well(minute: int) -> Fleet:
    """The fleet as it should be."""
    return {"alpha": source(minute), "beta": target(minute)}


def disagreeing(status: Status, dispute: Dispute, text: str) -> Status:
    """The node alpha, which has disagreed with beta since the state began."""
    return replace(status, disagreements=(Disagreement("beta", dispute, text, moment(BEGIN)),))


def other_view(status: Status) -> Status:
    """A node whose cluster file has other facts than those of the others."""
    return replace(status, view=replace(status.view, digest="fedcba9876543210"))


def uncovered(dataset: str, reason: Gap) -> Callable[[int], Fleet]:
    """The fleet in which no job replicates one volume of guest 100, whose job is well."""

    def fleet(since: int) -> Fleet:
        minute = BEGIN + since
        alpha = source(minute)
        known = replace(alpha.coverage[100], uncovered=(UncoveredVolume(dataset, reason),))
        return {"alpha": replace(alpha, coverage={100: known}), "beta": target(minute)}

    return fleet


def without_job(since: int) -> Fleet:
    """The fleet in which alpha's only job is gone from the cluster file."""
    minute = BEGIN + since
    alpha = replace(source(minute), jobs=(), source_snapshots={}, coverage={})
    gone = {JobId(100, 0): moment(BEGIN)}
    return {"alpha": replace(alpha, vanished_jobs=gone), "beta": target(minute, held=slot(moment(BEGIN)))}
