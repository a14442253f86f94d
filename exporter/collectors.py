"""From one frozen picture of the core to metric families, by subject; pure but for the clock that times it.

Nothing is remembered between scrapes: the numbers are right at the first scrape after a restart, and a job that is
gone has no series left. Nothing here touches ZFS or a disk.
"""

from __future__ import annotations

import json
import logging
import platform
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from time import perf_counter

from exporter import catalogue
from exporter.catalogue import Metric
from exporter.families import AnyFamily, Family, HistogramFamily, Sample
from exporter.process import process_families
from replicator.errors import ErrorClass
from replicator.jobs import JobCondition, Outcome
from replicator.plugins import Core, JobStatus, RunHistogram, Status

log = logging.getLogger(__name__)

NOTIFY_SECTION = "notify"
COUNTERS_KEY = "counters"
NOTIFICATION_OUTCOMES = ("success", "failure")


class MalformedNotesError(ValueError):
    """The alerts plugin's counters are not what was agreed; says what was found."""


@dataclass(frozen=True, slots=True)
class Picture:
    """All that one scrape shows, taken at one moment in the event loop.

    ``counters`` is the alerts plugin's note as JSON text, None when there is none, or the error that kept it from us.
    """

    status: Status
    counters: str | Exception | None = None


def take_picture(core: Core) -> Picture:
    """The picture of this moment. Must be called in the event loop."""
    status = core.status()
    counters: str | Exception | None
    try:
        counters = core.memory(NOTIFY_SECTION).get(COUNTERS_KEY)
    except Exception as error:  # noqa: BLE001 - raised again, and logged, in the one collector that needs the note
        counters = error
    return Picture(status, counters)


def collect(picture: Picture) -> list[AnyFamily]:
    """All families of a scrape. A collector that fails is logged and missing; the others are not touched by it."""
    families: list[AnyFamily] = []
    success: list[Sample] = []
    duration: list[Sample] = []
    for name, collector in COLLECTORS.items():
        begin = perf_counter()
        try:
            families.extend(list(collector(picture)))
            value = 1
        except Exception:
            log.exception("The metrics of the collector '%s' are missing from this scrape.", name)
            value = 0
        success.append(((name,), value))
        duration.append(((name,), perf_counter() - begin))
    families.append(Family(catalogue.COLLECTOR_SUCCESS, success))
    families.append(Family(catalogue.COLLECTOR_DURATION, duration))
    return families


def daemon(picture: Picture) -> Iterator[Family]:
    """The daemon itself: versions, settings, event loop, process."""
    status = picture.status
    yield Family(catalogue.BUILD_INFO, [((status.version, platform.python_version(), status.zfs_version), 1)])
    yield _single(catalogue.CONFIG_OK, int(status.config.ok))
    yield _single(catalogue.CONFIG_TIME, _time(status.config.last_success))
    yield _single(catalogue.LOOP_LAG, status.event_loop_lag)
    yield from process_families()


def jobs(picture: Picture) -> Iterator[Family]:
    """Every job of this node; at most 40 series each (DESIGN 8)."""
    known = [(str(status.job.id), status) for status in picture.status.jobs]
    yield Family(catalogue.JOB_INFO, [(_info(name, job), 1) for name, job in known])
    yield Family(
        catalogue.JOB_STATE,
        [((name, word), int(job.condition == word)) for name, job in known for word in _CONDITIONS],
    )
    for metric, read in _JOB_VALUES:
        yield Family(metric, [((name,), value) for name, job in known if (value := read(job)) is not None])
    yield Family(
        catalogue.JOB_RUNS,
        [((name, outcome), count) for name, job in known for outcome, count in _runs(job)],
    )
    yield Family(catalogue.JOB_ERRORS, [sample for name, job in known for sample in _errors(name, job)])
    marks = picture.status.source_snapshots
    counts = ((name, marks.get(job.job.id)) for name, job in known)
    yield Family(catalogue.SOURCE_SNAPSHOTS, [((name,), count) for name, count in counts if count is not None])


def nodes(picture: Picture) -> Iterator[Family]:
    """The other nodes, as the last contact found them."""
    reachable, skew = picture.status.reachable, picture.status.clock_skew
    yield Family(catalogue.NODE_REACHABLE, [((node,), int(reachable[node])) for node in sorted(reachable)])
    yield Family(catalogue.CLOCK_SKEW, [((node,), skew[node]) for node in sorted(skew)])


def pools(picture: Picture) -> Iterator[Family]:
    """The pools of this node, as the last look found them."""
    found = picture.status.pools
    yield Family(catalogue.POOL_SIZE, [((space.pool, space.role.value), space.size) for space in found])
    yield Family(catalogue.POOL_FREE, [((space.pool, space.role.value), space.free) for space in found])


def replicas(picture: Picture) -> Iterator[AnyFamily]:
    """What this node holds for others, and what it keeps aside."""
    status = picture.status
    held = status.replicas
    samples = [((str(replica.guest), replica.source, replica.storage), replica.last_sync) for replica in held]
    yield Family(catalogue.REPLICA_LAST_SYNC, samples)
    aside = [((status.node, str(guest)), status.diverged[guest]) for guest in sorted(status.diverged)]
    yield Family(catalogue.DIVERGED, aside)


def scheduler(picture: Picture) -> Iterator[AnyFamily]:
    """What waits, and how long runs take."""
    status = picture.status
    yield _single(catalogue.QUEUE_LENGTH, status.queue_length)
    yield _single(catalogue.SCHEDULER_LAG, status.scheduler_lag)
    yield HistogramFamily(catalogue.RUN_DURATION, _durations(status.durations))


def notifications(picture: Picture) -> Iterator[Family]:
    """What became of the alerts plugin's messages, by the name of their target."""
    if isinstance(picture.counters, Exception):
        raise picture.counters
    counts = _counters(picture.counters)
    yield Family(
        catalogue.NOTIFICATIONS,
        [
            ((target, outcome), counts[target].get(outcome, 0))
            for target in sorted(counts)
            for outcome in NOTIFICATION_OUTCOMES
        ],
    )


COLLECTORS: Mapping[str, Callable[[Picture], Iterable[AnyFamily]]] = {
    "daemon": daemon,
    "jobs": jobs,
    "nodes": nodes,
    "replicas": replicas,
    "pools": pools,
    "scheduler": scheduler,
    "notifications": notifications,
}

_CONDITIONS = tuple(condition.value for condition in JobCondition)
_CLASSES = tuple(error_class.value for error_class in ErrorClass)


def _single(metric: Metric, value: float | None) -> Family:
    return Family(metric, [] if value is None else [((), value)])


def _time(moment: float | None) -> float | None:
    """A time, or None for one that is not there; a zero would be read as 1970."""
    return moment if moment else None


def _info(name: str, status: JobStatus) -> tuple[str, ...]:
    job, guest = status.job, status.guest
    return (name, str(job.id.guest), guest.name if guest else "", status.source, job.target, job.schedule)


def _next_run(job: JobStatus) -> float | None:
    """The next run's time. While one is going on its outcome decides, so there is none yet; this keeps a job at 40
    series in the middle of a transfer, and a run longer than its schedule's gap from looking overdue.
    """
    return None if job.transfer else job.next_run


def _created(job: JobStatus) -> float | None:
    """Left out where nobody needs it, so that a job has no more than 40 series in the middle of a transfer."""
    needless = job.state.last_sync and _transferred(job) is not None
    return None if needless else _time(job.state.created)


def _transferred(job: JobStatus) -> float | None:
    return job.transfer.done_bytes if job.transfer and job.transfer.transferring else None


def _expected(job: JobStatus) -> float | None:
    return job.transfer.expected_bytes if job.transfer and job.transfer.transferring else None


_JOB_VALUES: tuple[tuple[Metric, Callable[[JobStatus], float | None]], ...] = (
    (catalogue.JOB_LAST_SYNC, lambda job: _time(job.state.last_sync)),
    (catalogue.JOB_LAST_TRY, lambda job: _time(job.state.last_start)),
    (catalogue.JOB_NEXT_RUN, _next_run),
    (catalogue.JOB_RPO, lambda job: job.rpo),
    (catalogue.JOB_CREATED, _created),
    (catalogue.JOB_RUN_START, lambda job: job.transfer.start if job.transfer else None),
    (catalogue.JOB_LAST_DURATION, lambda job: job.state.last_duration),
    (catalogue.JOB_LAST_SENT, lambda job: job.state.last_sent_bytes),
    (catalogue.JOB_FAILURES, lambda job: job.state.consecutive_failures),
    (catalogue.JOB_SENT, lambda job: job.sent_bytes_total),
    (catalogue.JOB_MISSED, lambda job: job.missed_runs),
    (catalogue.JOB_TRANSFER, _transferred),
    (catalogue.JOB_TRANSFER_EXPECTED, _expected),
    (catalogue.JOB_UNREPLICATED, lambda job: job.state.unreplicated_bytes),
    (catalogue.JOB_RESUME, lambda job: int(job.state.resume_pending)),
)


def _runs(job: JobStatus) -> tuple[tuple[str, int], ...]:
    state = job.state
    return (
        (Outcome.SUCCESS.value, state.runs_succeeded),
        (Outcome.FAILURE.value, state.runs_failed),
        (Outcome.CANCELLED.value, state.runs_cancelled),
    )


def _errors(name: str, job: JobStatus) -> Iterator[Sample]:
    counts = {error_class.value: count for error_class, count in job.state.errors}
    for word in _CLASSES:
        yield (name, word), counts.get(word, 0)


def _durations(durations: Mapping[str, RunHistogram]) -> list[tuple[tuple[str, ...], RunHistogram]]:
    """One histogram for each outcome; one that has not been seen is there with zeros on the others' bounds."""
    bounds = next((each.buckets for each in durations.values()), ())
    unseen = RunHistogram(buckets=tuple((bound, 0) for bound, _ in bounds), sum=0.0, count=0)
    return [((outcome.value,), durations.get(outcome.value, unseen)) for outcome in Outcome]


def _counters(note: str | None) -> dict[str, dict[str, int]]:
    """Read the alerts plugin's note ``{"<target>": {"success": n, "failure": n}}``; raises MalformedNotesError."""
    try:
        found = json.loads(note) if note is not None else {}
    except ValueError as error:
        raise MalformedNotesError(f"The notification counters are not JSON: {error}.") from error
    if not isinstance(found, dict) or not all(_is_count(outcomes) for outcomes in found.values()):
        raise MalformedNotesError(
            'The notification counters are not {"<target>": {"success": n, "failure": n}} with whole numbers.'
        )
    return found


def _is_count(outcomes: object) -> bool:
    return isinstance(outcomes, dict) and all(
        isinstance(outcomes.get(outcome, 0), int) and outcomes.get(outcome, 0) >= 0 for outcome in NOTIFICATION_OUTCOMES
    )
