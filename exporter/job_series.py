"""The samples of jobs as text, kept from one scrape to the next for every job that has not changed.

Of ten thousand jobs a scrape finds some hundreds that ran since the last one; formatting all 360,000 lines again would
take most of a second. The core returns the same frozen status of a job until something in it changes, so a change is
seen by comparing object identities.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from exporter import job_metrics
from exporter.exposition import escaped, number
from exporter.families import LineFamily, known_time
from exporter.metric import Metric
from replicator.api.job_status import JobStatus
from replicator.errors import ErrorClass
from replicator.models import JobCondition, Outcome

_NAME = "\0"
"""Stands for the job in the lines that are written beforehand."""


class JobLines:
    """The lines of all jobs of the last scrape. For one thread; costs some 4 KiB for each job."""

    def __init__(self) -> None:
        self._kept: dict[int, tuple[JobStatus, tuple[str, ...]]] = {}

    def families(self, jobs: Iterable[JobStatus]) -> list[LineFamily]:
        """All families of these jobs; what other jobs had is forgotten."""
        # By the object's number, which no other object can get while it is kept here.
        self._kept = {id(job): self._kept.get(id(job)) or (job, _lines(str(job.job.id), job)) for job in jobs}
        columns = zip(*(lines for _, lines in self._kept.values()), strict=True)
        empty: Iterable[tuple[str, ...]] = ((),) * len(METRICS)
        return [LineFamily(metric, c) for metric, c in zip(METRICS, columns if self._kept else empty, strict=True)]


def _lines(name: str, job: JobStatus) -> tuple[str, ...]:
    """A job's lines for each of `METRICS`; at most 50 in all (contract: Metrics)."""
    values = ("" if (found := read(job)) is None else f"{head}{name}{_END}{number(found)}\n" for head, read in _VALUES)
    return (
        _info(name, job),
        _STATES[job.condition].replace(_NAME, name),
        *values,
        _runs(name, job),
        _errors(name, job),
    )


def _info(name: str, status: JobStatus) -> str:
    job, guest = status.job, status.guest
    texts = (name, str(job.id.guest), guest.name if guest else "", status.source, job.target, job.schedule)
    return _INFO % tuple(map(escaped, texts))


def _runs(name: str, job: JobStatus) -> str:
    state = job.state
    counts = (state.runs_succeeded, state.runs_failed, state.runs_cancelled)
    return _RUNS.replace(_NAME, name) % counts


def _errors(name: str, job: JobStatus) -> str:
    if not job.state.errors:
        return _NO_ERRORS.replace(_NAME, name)
    counts = {error_class.value: count for error_class, count in job.state.errors}
    return "".join(
        [_error_line(name, error_class.value, counts.get(error_class.value, 0)) for error_class in ErrorClass]
    )


def _error_line(name: str, error_class: str, count: int) -> str:
    return f'{job_metrics.JOB_ERRORS.name}{{zsr_job="{name}",class="{error_class}"}} {count}\n'


def _next_run(job: JobStatus) -> float | None:
    """The next run's time. While one is going on its outcome decides, so there is none yet; this keeps a
    run longer than its schedule's gap from looking overdue.
    """
    return None if job.transfer else job.next_run


def _created(job: JobStatus) -> float | None:
    """Left out where it is not needed, so that a job has few series in the middle of a transfer."""
    needless = job.state.last_sync and _transferred(job) is not None
    return None if needless else known_time(job.state.created)


def _transferred(job: JobStatus) -> float | None:
    return job.transfer.done_bytes if job.transfer and job.transfer.transferring else None


def _expected(job: JobStatus) -> float | None:
    return job.transfer.expected_bytes if job.transfer and job.transfer.transferring else None


_READ: Sequence[tuple[Metric, Callable[[JobStatus], float | None]]] = (
    (job_metrics.JOB_LAST_SYNC, lambda job: known_time(job.state.last_sync)),
    (job_metrics.JOB_LAST_SET, lambda job: known_time(job.state.last_set)),
    (job_metrics.JOB_LAST_TRY, lambda job: known_time(job.state.last_start)),
    (job_metrics.JOB_NEXT_RUN, _next_run),
    (job_metrics.JOB_RPO, lambda job: job.rpo),
    (job_metrics.JOB_CREATED, _created),
    (job_metrics.JOB_RUN_START, lambda job: job.transfer.start if job.transfer else None),
    (job_metrics.JOB_LAST_DURATION, lambda job: job.state.last_duration),
    (job_metrics.JOB_LAST_SENT, lambda job: job.state.last_sent_bytes),
    (job_metrics.JOB_FAILURES, lambda job: job.state.consecutive_failures),
    (job_metrics.JOB_SENT, lambda job: job.sent_bytes_total),
    (job_metrics.JOB_MISSED, lambda job: job.missed_runs),
    (job_metrics.JOB_TRANSFER, _transferred),
    (job_metrics.JOB_TRANSFER_EXPECTED, _expected),
    (job_metrics.JOB_UNREPLICATED, lambda job: job.state.unreplicated_bytes),
    (job_metrics.JOB_RESUME, lambda job: int(job.state.resume_pending)),
    (job_metrics.JOB_VANISHED, lambda job: len(job.state.vanished)),
    (job_metrics.JOB_GRACE_END, lambda job: known_time(job.grace_end)),
    (job_metrics.JOB_VOLUMES, lambda job: len(job.state.sets.volumes) or None),
    (job_metrics.JOB_REPLACED, lambda job: known_time(job.state.replaced_at)),
    (job_metrics.JOB_WENT_BACK, lambda job: known_time(job.state.went_back_at)),
    (job_metrics.DISABLED_SINCE, lambda job: known_time(job.state.disabled_since)),
    (job_metrics.REMOVAL_SINCE, lambda job: known_time(job.state.removal_since)),
    (job_metrics.JOB_CLAIM_CONFIRMED, lambda job: int(job.is_claim_confirmed)),
)
METRICS = (
    job_metrics.JOB_INFO,
    job_metrics.JOB_STATE,
    *(metric for metric, _ in _READ),
    job_metrics.JOB_RUNS,
    job_metrics.JOB_ERRORS,
)
"""The metrics of a job, in the order of its lines."""

_PAIRS = ",".join(f'{label}="%s"' for label in job_metrics.JOB_INFO.labels)
_INFO = f"{job_metrics.JOB_INFO.name}{{{_PAIRS}}} 1\n"
_END = '"} '
_VALUES = tuple((f'{metric.name}{{zsr_job="', read) for metric, read in _READ)
_STATES = {
    condition: "".join(
        f'{job_metrics.JOB_STATE.name}{{zsr_job="{_NAME}",state="{word.value}"}} {int(word is condition)}\n'
        for word in JobCondition
    )
    for condition in JobCondition
}
_RUNS = "".join(
    f'{job_metrics.JOB_RUNS.name}{{zsr_job="{_NAME}",outcome="{outcome.value}"}} %d\n'
    for outcome in (Outcome.SUCCESS, Outcome.FAILURE, Outcome.CANCELLED)
)
_NO_ERRORS = "".join(_error_line(_NAME, error_class.value, 0) for error_class in ErrorClass)
