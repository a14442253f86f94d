"""Metric families by subject, from one frozen status of the core; pure but for the clock that times it.

No value is kept between scrapes: the numbers are right at the first scrape after a restart, and a job
that is gone has no series left. Nothing here touches ZFS.
"""

from __future__ import annotations

import logging
import platform
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from time import perf_counter

from exporter import catalogue, guest_metrics
from exporter.families import AnyFamily, Family, HistogramFamily, LineFamily, Sample, known_time
from exporter.job_series import JobLines
from exporter.metric import Metric
from exporter.process import process_families
from replicator.api import counters
from replicator.api.plugin import Core
from replicator.api.status import GuestOwner, RunHistogram, Status
from replicator.models import Outcome

_log = logging.getLogger("zsr.exporter")


@dataclass(frozen=True, slots=True)
class ScrapeInput:
    """The facts that one scrape shows, taken at one moment in the event loop.

    ``counters`` is the alerts plugin's note as JSON text, None when there is none, or the error that kept it from us.
    """

    status: Status
    counters: str | Exception | None = None


def scrape_input(core: Core, status: Status) -> ScrapeInput:
    """The input of a scrape, from a status that was taken in the event loop. Reads a file; may block."""
    note: str | Exception | None
    try:
        note = core.memory(counters.PLUGIN).get(counters.KEY)
    except Exception as error:  # noqa: BLE001 - raised again, and logged, in the one collector that needs the note
        note = error
    return ScrapeInput(status, note)


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
    yield _single(catalogue.LOOP_LAG, status.event_loop_lag)
    yield from process_families()


def jobs(scrape: ScrapeInput, kept: JobLines) -> Iterator[AnyFamily]:
    """Every job of this node; at most 50 series each (contract: Metrics)."""
    known = scrape.status.jobs
    yield from kept.families(known)
    metric, marks = catalogue.SOURCE_SNAPSHOTS, scrape.status.source_snapshots
    counts = ((job.job.id, marks.get(job.job.id)) for job in known)
    lines = [f'{metric.name}{{zsr_job="{job}"}} {count}\n' for job, count in counts if count is not None]
    yield LineFamily(metric, lines)
    yield _conflicts(scrape.status)


def _conflicts(status: Status) -> LineFamily:
    """Whether Proxmox VE replicates the guests of jobs too; without those of which that is not known."""
    name = catalogue.JOB_CONFLICT.name
    found = ((job.job.id, status.pvesr.is_in_conflict(job.job.id, job.job.target)) for job in status.jobs)
    lines = [f'{name}{{zsr_job="{job}"}} {int(conflict)}\n' for job, conflict in found if conflict is not None]
    return LineFamily(catalogue.JOB_CONFLICT, lines)


def nodes(scrape: ScrapeInput) -> Iterator[Family]:
    """The other nodes, as the last contact found them."""
    reachable, skew = scrape.status.reachable, scrape.status.clock_skew
    yield Family(catalogue.NODE_REACHABLE, [((node,), int(reachable[node])) for node in sorted(reachable)])
    yield Family(catalogue.CLOCK_SKEW, [((node,), skew[node]) for node in sorted(skew)])


def pools(scrape: ScrapeInput) -> Iterator[Family]:
    """The pools of this node, as the last look found them."""
    found = scrape.status.pools
    yield Family(catalogue.POOL_SIZE, [((space.pool, space.role.value), space.size) for space in found])
    yield Family(catalogue.POOL_FREE, [((space.pool, space.role.value), space.free) for space in found])


def replicas(scrape: ScrapeInput) -> Iterator[AnyFamily]:
    """The replicas that this node holds for others, and its diverged volumes."""
    status = scrape.status
    held = [((str(replica.guest), replica.source, replica.storage), replica) for replica in status.replicas]
    yield Family(catalogue.REPLICA_LAST_SYNC, [(labels, replica.last_sync) for labels, replica in held])
    yield Family(catalogue.REPLICA_AHEAD, [(labels, replica.ahead) for labels, replica in held])
    sizes = [(labels, replica.used) for labels, replica in held if replica.used is not None]
    yield Family(catalogue.REPLICA_USED, sizes)
    aside = [((status.node, str(guest)), status.diverged[guest]) for guest in sorted(status.diverged)]
    yield Family(catalogue.DIVERGED, aside)


def guests(scrape: ScrapeInput) -> Iterator[AnyFamily]:
    """The guests of this node: owner and epoch, who may be frozen, and how often a hook failed."""
    yield from _owners(scrape.status.owners)
    since, failures = scrape.status.frozen_since, scrape.status.hook_failures
    yield Family(guest_metrics.GUEST_FROZEN, [((str(guest),), since[guest]) for guest in sorted(since)])
    counts = [
        ((str(guest), hook.value), failures[guest][hook]) for guest in sorted(failures) for hook in failures[guest]
    ]
    yield Family(guest_metrics.HOOK_FAILURES, counts)


def _owners(owners: Mapping[int, GuestOwner]) -> Iterator[AnyFamily]:
    owner, epoch = guest_metrics.GUEST_OWNER.name, guest_metrics.GUEST_EPOCH.name
    known = sorted(owners.items())
    lines = [f'{owner}{{guest="{guest}",node="{each.node}"}} 1\n' for guest, each in known]
    yield LineFamily(guest_metrics.GUEST_OWNER, lines)
    yield LineFamily(guest_metrics.GUEST_EPOCH, [f'{epoch}{{guest="{guest}"}} {each.epoch}\n' for guest, each in known])


def scheduler(scrape: ScrapeInput) -> Iterator[AnyFamily]:
    """The queue, and the durations of runs."""
    status = scrape.status
    yield _single(catalogue.QUEUE_LENGTH, status.queue_length)
    yield _single(catalogue.SCHEDULER_LAG, status.scheduler_lag)
    yield HistogramFamily(catalogue.RUN_DURATION, _durations(status.durations))


def notifications(scrape: ScrapeInput) -> Iterator[Family]:
    """The outcomes of the alerts plugin's messages, by the name of their target."""
    if isinstance(scrape.counters, Exception):
        raise scrape.counters
    counts = counters.read_counters(scrape.counters)
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
        "pools": pools,
        "guests": guests,
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
