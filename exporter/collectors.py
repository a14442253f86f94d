"""Metric families by subject, from one frozen status of the core; pure but for the clock that times it.

No value is kept between scrapes: the numbers are right at the first scrape after a restart, and a job
that is gone has no series left. Nothing here touches ZFS.
"""

from __future__ import annotations

import logging
import platform
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from time import perf_counter

from exporter import catalogue, guest_metrics, job_metrics, node_metrics, replica_metrics, target_metrics
from exporter.families import AnyFamily, Family, HistogramFamily, LineFamily, Sample, known_time
from exporter.job_series import JobLines
from exporter.metric import Metric
from exporter.process import process_families
from replicator.api import counters
from replicator.api.coverage import GuestCoverage
from replicator.api.drills import GuestDrills
from replicator.api.held import HeldReplica
from replicator.api.job_status import is_off
from replicator.api.plugin import Core
from replicator.api.status import GuestOwner, RunHistogram, Status
from replicator.errors import ErrorClass
from replicator.models import DrillResult, GuestId, Outcome

_log = logging.getLogger("zsr.exporter")


@dataclass(frozen=True, slots=True)
class ScrapeInput:
    """The facts that one scrape shows, taken at one moment in the event loop.

    ``counters`` is the alerts plugin's note as JSON text, None when there is none, or the error that kept it from us;
    ``usable`` is its other note. ``web_config_ok``: whether the exporter's own web configuration was last read well.
    """

    status: Status
    counters: str | Exception | None = None
    usable: str | None = None
    web_config_ok: bool = True


def scrape_input(core: Core, status: Status, *, web_config_ok: bool = True) -> ScrapeInput:
    """The input of a scrape, from a status that was taken in the event loop. Reads a file; may block."""
    note: str | Exception | None
    usable = None
    try:
        store = core.memory(counters.PLUGIN)
        note, usable = store.get(counters.KEY), store.get(counters.USABLE_KEY)
    except Exception as error:  # noqa: BLE001 - raised again, and logged, in the one collector that needs the note
        note = error
    return ScrapeInput(status, note, usable, web_config_ok)


def collect(scrape: ScrapeInput, kept: JobLines | None = None) -> list[AnyFamily]:
    """All families of a scrape. A collector that fails is logged and missing; the others are not touched by it.

    ``kept``: the jobs' lines of earlier scrapes, which makes it faster and changes nothing.
    """
    families: list[AnyFamily] = []
    success: list[Sample] = []
    duration: list[Sample] = []
    for name, collector in collectors(kept or JobLines()).items():
        begin = perf_counter()
        try:
            families.extend(list(collector(scrape)))
            value = 1
        except Exception:  # noqa: BLE001 - one broken collector must not take the others along
            _log.exception("The metrics of the collector '%s' are missing from this scrape.", name)
            value = 0
        success.append(((name,), value))
        duration.append(((name,), perf_counter() - begin))
    families.append(Family(catalogue.COLLECTOR_SUCCESS, success))
    families.append(Family(catalogue.COLLECTOR_DURATION, duration))
    return families


def daemon(scrape: ScrapeInput) -> Iterator[Family]:
    """The daemon itself: versions, settings, event loop, process."""
    status = scrape.status
    yield Family(catalogue.BUILD_INFO, [((status.version, platform.python_version(), status.zfs_version), 1)])
    yield _single(catalogue.CONFIG_OK, int(status.config.ok))
    yield _single(catalogue.CONFIG_TIME, known_time(status.config.last_success))
    yield _single(node_metrics.STATE_CREATED, known_time(status.state_created))
    yield _single(node_metrics.CONFIG_PENDING, len(status.config.pending))
    yield _single(node_metrics.WEB_CONFIG_OK, int(scrape.web_config_ok))
    periods = [((each.file,), each) for each in status.certificates]
    yield Family(node_metrics.CERTIFICATE_BEGIN, [(labels, each.begin) for labels, each in periods])
    yield Family(node_metrics.CERTIFICATE_END, [(labels, each.end) for labels, each in periods])
    yield _single(node_metrics.JOBS_UNREPORTED, None if status.unreported is None else len(status.unreported))
    yield _single(node_metrics.STATE_DAMAGED, len(status.damaged_states))
    yield _single(node_metrics.STATE_WRITABLE, int(status.state_unwritable_since is None))
    ends = sorted(status.plugins.items())
    yield Family(node_metrics.PLUGIN_RESTARTS, [((name,), each.count) for name, each in ends])
    yield _single(catalogue.LOOP_LAG, status.event_loop_lag)
    yield _single(node_metrics.CLOCK, status.time)
    yield from process_families()


def jobs(scrape: ScrapeInput, kept: JobLines) -> Iterator[AnyFamily]:
    """Every job of this node; at most 50 series each (contract: Metrics)."""
    known = scrape.status.jobs
    yield from kept.families(known)
    for metric, marks in (
        (job_metrics.SOURCE_SNAPSHOTS, scrape.status.source_snapshots),
        (job_metrics.SOURCE_FOREIGN, scrape.status.foreign_snapshots),
    ):
        counts = ((job.job.id, marks.get(job.job.id)) for job in known)
        lines = [f'{metric.name}{{zsr_job="{job}"}} {count}\n' for job, count in counts if count is not None]
        yield LineFamily(metric, lines)
    forgotten = [((str(job.job.id),), job.state.created) for job in known if job.forgotten]
    yield Family(node_metrics.PROMISE_UNKNOWN, forgotten)
    unmeasured = sorted(scrape.status.unmeasured.items())
    yield Family(node_metrics.UNMEASURED, [((str(job), reason.value), 1) for job, reason in unmeasured])
    yield _conflicts(scrape.status)
    untidy = sorted(scrape.status.untidy.items())
    yield Family(node_metrics.JOB_UNTIDY, [((str(job),), since) for job, since in untidy])


def _conflicts(status: Status) -> LineFamily:
    """Whether Proxmox VE replicates the guests of jobs too; without those of which that is not known."""
    name = job_metrics.JOB_CONFLICT.name
    found = ((job.job.id, status.pvesr.is_in_conflict(job.job.id, job.job.target)) for job in status.jobs)
    lines = [f'{name}{{zsr_job="{job}"}} {int(conflict)}\n' for job, conflict in found if conflict is not None]
    return LineFamily(job_metrics.JOB_CONFLICT, lines)


def nodes(scrape: ScrapeInput) -> Iterator[Family]:
    """The node itself and its view of the cluster, and the other nodes as the last contact found them."""
    status, view = scrape.status, scrape.status.view
    yield Family(node_metrics.CLUSTER_NODE, [((node,), 1) for node in _expected(status)])
    yield Family(node_metrics.NODE_INFO, [((status.node, view.boot), 1)])
    yield Family(node_metrics.CLUSTER_INFO, [((view.digest, view.store), 1)])
    yield _single(node_metrics.ZFS_READABLE, int(status.zfs_readable))
    yield Family(node_metrics.LAST_INVENTORY, [((node,), time) for node, time in sorted(status.looked_at.items())])
    reachable, skew = scrape.status.reachable, scrape.status.clock_skew
    yield Family(catalogue.NODE_REACHABLE, [((node,), int(reachable[node])) for node in sorted(reachable)])
    yield Family(catalogue.CLOCK_SKEW, [((node,), skew[node]) for node in sorted(skew)])
    yield Family(node_metrics.SAME_MACHINE, [(pair, 1) for pair in sorted(scrape.status.same_machine.items())])


def _expected(status: Status) -> list[str]:
    """The nodes that should be scraped: they run zsr, and are not disabled for their maintenance."""
    return sorted(node.name for node in status.nodes if node.zsr and not is_off(node, status.time))


def pools(scrape: ScrapeInput) -> Iterator[Family]:
    """The pools and storages of this node, as the last look found them."""
    found = scrape.status.pools
    yield Family(replica_metrics.POOL_SIZE, [((space.pool, space.role.value), space.size) for space in found])
    yield Family(replica_metrics.POOL_FREE, [((space.pool, space.role.value), space.free) for space in found])
    storages = [((space.storage, space.pool, space.role.value), space) for space in scrape.status.storages]
    yield Family(replica_metrics.STORAGE_SIZE, [(labels, space.size) for labels, space in storages])
    yield Family(replica_metrics.STORAGE_FREE, [(labels, space.free) for labels, space in storages])


def targets(scrape: ScrapeInput) -> Iterator[Family]:
    """The targets of this node that run no zsr; one whose last look failed has no series."""
    found = sorted(scrape.status.targets.items())
    held = [((node, str(r.guest), r.source, r.storage), r.last_sync) for node, look in found for r in look.replicas]
    yield Family(target_metrics.TARGET_REPLICA_LAST_SYNC, held)
    aside = [((node, str(guest)), look.diverged[guest]) for node, look in found for guest in sorted(look.diverged)]
    yield Family(target_metrics.TARGET_DIVERGED, aside)
    spaces = [((node, space.pool, space.role.value), space) for node, look in found for space in look.pools]
    yield Family(target_metrics.TARGET_POOL_SIZE, [(labels, space.size) for labels, space in spaces])
    yield Family(target_metrics.TARGET_POOL_FREE, [(labels, space.free) for labels, space in spaces])


def replicas(scrape: ScrapeInput) -> Iterator[AnyFamily]:
    """The replicas that this node holds for others, and its diverged volumes."""
    status = scrape.status
    held = [((str(replica.guest), replica.source, replica.storage), replica) for replica in status.replicas]
    yield Family(replica_metrics.REPLICA_LAST_SYNC, [(labels, replica.last_sync) for labels, replica in held])
    yield Family(replica_metrics.REPLICA_AHEAD, [(labels, replica.ahead) for labels, replica in held])
    yield Family(replica_metrics.REPLICA_VOLUMES, [(labels, replica.volumes) for labels, replica in held])
    yield Family(replica_metrics.REPLICA_POINTS, [(labels, replica.points) for labels, replica in held])
    yield Family(replica_metrics.REPLICA_FOREIGN, [(labels, replica.foreign) for labels, replica in held])
    for metric, read in _KNOWN_OF_REPLICAS:
        found = [(labels, read(replica)) for labels, replica in held]
        yield Family(metric, [(labels, value) for labels, value in found if value is not None])
    aside = [((status.node, str(guest)), status.diverged[guest]) for guest in sorted(status.diverged)]
    yield Family(replica_metrics.DIVERGED, aside)
    kept = [((str(each.guest), each.kind.value), each) for each in status.asides]
    yield Family(replica_metrics.ASIDES, [(labels, each.count) for labels, each in kept])
    sizes = [(labels, each.size) for labels, each in kept if each.size is not None]
    yield Family(replica_metrics.ASIDES_BYTES, sizes)
    times = [(labels, each.oldest) for labels, each in kept if each.oldest is not None]
    yield Family(replica_metrics.ASIDES_OLDEST, times)


_KNOWN_OF_REPLICAS: tuple[tuple[Metric, Callable[[HeldReplica], float | None]], ...] = (
    (replica_metrics.REPLICA_USED, lambda replica: replica.used),
    (replica_metrics.REPLICA_OLDEST_POINT, lambda replica: known_time(replica.oldest_point)),
    (replica_metrics.REPLICA_POINTS_MISSING, lambda replica: replica.points_missing),
)


def guests(scrape: ScrapeInput) -> Iterator[AnyFamily]:
    """The guests of this node: owner and epoch, who may be frozen, how often a hook failed, what no job covers."""
    yield from _owners(scrape.status.owners)
    since, failures = scrape.status.frozen_since, scrape.status.hook_failures
    yield Family(guest_metrics.GUEST_FROZEN, [((str(guest),), since[guest]) for guest in sorted(since)])
    counts = [
        ((str(guest), hook.value), failures[guest][hook]) for guest in sorted(failures) for hook in failures[guest]
    ]
    yield Family(guest_metrics.HOOK_FAILURES, counts)
    failed = sorted(scrape.status.failed_freezes.items())
    yield Family(guest_metrics.FAILED_FREEZES, [((str(guest),), count) for guest, count in failed])
    yield from _coverage(scrape.status.coverage)
    unknown = scrape.status.unknown_guests
    yield _single(guest_metrics.UNKNOWN_GUESTS, None if unknown is None else len(unknown))
    gone = sorted(scrape.status.vanished_jobs.items())
    yield Family(guest_metrics.JOB_VANISHED, [((str(job), str(job.guest)), time) for job, time in gone])


def moves(scrape: ScrapeInput) -> Iterator[AnyFamily]:
    """The guests that this node moved away or recovered, and those that it is moving."""
    found = scrape.status.moves
    kinds = [((str(each.guest), how), count) for each in found
             for how, count in (("moved", each.moved), ("recovered", each.recovered))]  # fmt: skip
    yield Family(guest_metrics.GUEST_MOVES, kinds)
    yield Family(guest_metrics.GUEST_MOVE_TIME, [((str(each.guest),), each.time) for each in found])
    times = [((str(each.guest),), each.downtime) for each in found if each.downtime is not None]
    yield Family(guest_metrics.GUEST_MOVE_DOWNTIME, times)
    moving = [((str(each.guest), each.to), each.since) for each in scrape.status.moving]
    yield Family(guest_metrics.GUEST_MOVING, moving)


def drills(scrape: ScrapeInput) -> Iterator[AnyFamily]:
    """The drills of this node's guests: how the last ones ended, since when one is awaited, and how many there were."""
    found = [((str(each.guest), each.node), each) for each in scrape.status.drills]
    for metric, read in _KNOWN_OF_DRILLS:
        known = [(labels, read(each)) for labels, each in found]
        yield Family(metric, [(labels, value) for labels, value in known if value is not None])
    counts = [((*labels, result.value), each.counts.get(result, 0)) for labels, each in found for result in DrillResult]
    yield Family(guest_metrics.DRILLS, counts)


_KNOWN_OF_DRILLS: tuple[tuple[Metric, Callable[[GuestDrills], float | None]], ...] = (
    (guest_metrics.DRILL_LAST_SUCCESS, lambda each: each.last_pass),
    (guest_metrics.DRILL_LAST, lambda each: each.time),
    (guest_metrics.DRILL_FAILED, lambda each: None if each.result is None else float(each.has_failed)),
    (guest_metrics.DRILL_UNDONE, lambda each: float(each.obstacle is not None)),
    (guest_metrics.DRILL_DURATION, lambda each: each.duration),
    (guest_metrics.DRILL_SET_AGE, lambda each: each.set_age),
    (guest_metrics.DRILL_AWAITED, lambda each: each.awaited_since),
    (guest_metrics.DRILL_LIMIT, lambda each: each.limit),
    (guest_metrics.DRILL_CLONES, lambda each: each.clones_since),
)


def _coverage(coverage: Mapping[GuestId, GuestCoverage]) -> Iterator[AnyFamily]:
    known = sorted(coverage.items())
    jobs = guest_metrics.GUEST_JOBS
    yield LineFamily(jobs, [f'{jobs.name}{{guest="{guest}"}} {len(each.jobs)}\n' for guest, each in known])
    found = ((guest, Counter(one.reason for one in each.uncovered)) for guest, each in known if each.uncovered)
    counts = [((str(guest), reason.value), reasons[reason]) for guest, reasons in found for reason in sorted(reasons)]
    yield Family(guest_metrics.GUEST_UNCOVERED, counts)


def _owners(owners: Mapping[GuestId, GuestOwner]) -> Iterator[AnyFamily]:
    owner, epoch = guest_metrics.GUEST_OWNER.name, guest_metrics.GUEST_EPOCH.name
    known = sorted(owners.items())
    lines = [f'{owner}{{guest="{guest}",node="{each.node}"}} 1\n' for guest, each in known]
    yield LineFamily(guest_metrics.GUEST_OWNER, lines)
    yield LineFamily(guest_metrics.GUEST_EPOCH, [f'{epoch}{{guest="{guest}"}} {each.epoch}\n' for guest, each in known])


def scheduler(scrape: ScrapeInput) -> Iterator[AnyFamily]:
    """The queue, the runs that could not begin, and the durations of those that did."""
    status = scrape.status
    yield _single(catalogue.QUEUE_LENGTH, status.queue_length)
    yield _single(catalogue.SCHEDULER_LAG, status.scheduler_lag)
    failures = status.start_failures
    counts = [((each.value,), failures.get(each, 0)) for each in ErrorClass]
    yield Family(node_metrics.RUN_START_FAILURES, counts)
    yield HistogramFamily(catalogue.RUN_DURATION, _durations(status.durations))


def notifications(scrape: ScrapeInput) -> Iterator[Family]:
    """The outcomes of the alerts plugin's messages, by the name of their target."""
    if isinstance(scrape.counters, Exception):
        raise scrape.counters
    counts = counters.read_counters(scrape.counters)
    usable = sorted(counters.read_usable(scrape.usable).items())
    yield Family(node_metrics.TARGET_USABLE, [((target,), int(is_usable)) for target, is_usable in usable])
    yield Family(
        catalogue.NOTIFICATIONS,
        [
            ((target, outcome), counts[target].get(outcome, 0))
            for target in sorted(counts)
            for outcome in counters.OUTCOMES
        ],
    )


def collectors(kept: JobLines) -> Mapping[str, Callable[[ScrapeInput], Iterable[AnyFamily]]]:
    """All collectors by name."""
    return {
        "daemon": daemon,
        "jobs": partial(jobs, kept=kept),
        "nodes": nodes,
        "replicas": replicas,
        "targets": targets,
        "pools": pools,
        "guests": guests,
        "drills": drills,
        "moves": moves,
        "scheduler": scheduler,
        "notifications": notifications,
    }


def _single(metric: Metric, value: float | None) -> Family:
    return Family(metric, [] if value is None else [((), value)])


def _durations(durations: Mapping[str, RunHistogram]) -> list[tuple[tuple[str, ...], RunHistogram]]:
    """One histogram for each outcome; one that has not been seen is there with zeros on the others' bounds."""
    bounds = next((each.buckets for each in durations.values()), ())
    unseen = RunHistogram(buckets=tuple((bound, 0) for bound, _ in bounds), sum=0.0, count=0)
    return [((outcome.value,), durations.get(outcome.value, unseen)) for outcome in Outcome]
