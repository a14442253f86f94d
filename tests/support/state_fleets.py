"""Fleets of states that many have in common: a job whose runs fail, and one whose runs come too late."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from alerts.notice import NoticeKind, Severity
from replicator.api.held import HeldReplica, PoolRole, PoolSpace, TargetLook
from replicator.api.job_status import JobStatus
from replicator.daemon.health_check import HealthLevel
from replicator.errors import ErrorClass
from replicator.events import Event, RunFailed
from replicator.job_choices import Removal
from replicator.models import Failure, JobCondition, JobId, Node
from tests.support.states import BEGIN, MINUTE, Alert, Fleet, Line, Message, State, job, moment, slot, source, target

ATTEMPTS = (0, 5, 15, *range(45, 3000, 30))
"""Minutes after a state's begin at which a job tries: a run, retries after 5 and 10 minutes, then every half hour."""
ADVICE = "Look at it."
LAST = moment(BEGIN - 15)
"""The last sync of the well job before a state in which no run succeeds any more."""


def failing_job(since: int, error_class: ErrorClass, message: str, job_id: str = "100-0") -> JobStatus:
    """The job all of whose runs have failed since the state began."""
    tries = [minute for minute in ATTEMPTS if minute <= since]
    well = job(BEGIN - 15, job_id)
    start = moment(BEGIN + tries[-1])
    state = replace(
        well.state,
        last_try=start,
        last_start=start,
        last_duration=10.0,
        last_sent_bytes=0,
        consecutive_failures=len(tries),
        failing_since=moment(BEGIN),
        failure=Failure(error_class, message, ADVICE),
        runs_failed=len(tries),
        errors=((error_class, len(tries)),),
    )
    following = moment(BEGIN + ATTEMPTS[len(tries)])
    return replace(well, state=state, condition=JobCondition.ERROR, next_run=following)


def failing(since: int, error_class: ErrorClass, message: str) -> Fleet:
    """The fleet in which that job fails; beta answers and holds what it had."""
    minute = BEGIN + since
    return {"alpha": source(minute, failing_job(since, error_class, message)), "beta": target(minute, held=LAST)}


def failures(error_class: ErrorClass, message: str, count: int = 6) -> Mapping[int, tuple[tuple[str, Event], ...]]:
    """The events of that job's failed runs."""
    found: dict[int, tuple[tuple[str, Event], ...]] = {}
    for number, minute in enumerate(ATTEMPTS[:count], start=1):
        time, following = moment(BEGIN + minute), moment(BEGIN + ATTEMPTS[number])
        failed = RunFailed(
            time, JobId(100, 0), 700 + number, error_class, message, ADVICE, number, moment(BEGIN), LAST, following
        )
        found[minute] = (("alpha", failed),)
    return found


def failing_state(key: str, title: str, produced: str, error_class: ErrorClass, message: str) -> State:
    """The state in which all runs of that job fail for an hour: the third failure is reported, then the promise."""
    return State(
        key=key,
        title=title,
        produced=produced,
        fleet=lambda since: failing(since, error_class, message),
        lasts=60,
        alerts=(
            Alert("ZsrJobFailing", Severity.WARNING, 20, {"zsr_job": "100-0"}),
            Alert("ZsrRpoBreached", Severity.CRITICAL, 20, {"zsr_job": "100-0"}),
        ),
        tolerated=("ZsrRpoAtRisk",),
        message=Message(NoticeKind.FAILED, Severity.WARNING, 16),
        check=Line(HealthLevel.CRITICAL, "promised are at most 30 min"),
        events=failures(error_class, message),
    )


def slow_job(since: int, gap: int, duration: float) -> JobStatus:
    """The job whose runs begin only every ``gap`` minutes (a multiple of its 15) and take ``duration`` seconds."""
    done = since // gap
    start = moment(BEGIN + done * gap)
    well = job(BEGIN)
    state = replace(
        well.state,
        last_try=start,
        last_start=start,
        last_sync=start,
        last_set=start,
        last_duration=duration,
        runs_succeeded=well.state.runs_succeeded + done,
    )
    missed = done * (gap // 15 - 1)
    return replace(well, state=state, missed_runs=missed, next_run=start + 900)


def changed_source(minute: int, *, replaced_at: float | None = None, went_back_at: float | None = None) -> Fleet:
    """The fleet at a minute of the story whose well job once found, at these times, that its source was changed."""
    well = job(minute)
    before = moment(minute) < max(replaced_at or 0.0, went_back_at or 0.0)
    state = well.state if before else replace(well.state, replaced_at=replaced_at, went_back_at=went_back_at)
    return {"alpha": source(minute, replace(well, state=state)), "beta": target(minute)}


def disabled(since: int, begin: float, *, removal: Removal | None = None, resume: bool = False) -> Fleet:
    """The fleet in which the job is disabled since a time (unix), and perhaps being removed as long."""
    minute, before = BEGIN + since, job(int(begin // MINUTE))
    state = replace(
        before.state,
        disabled_since=begin,
        removal_since=None if removal is None else begin,
        resume_pending=resume,
    )
    off = replace(
        before,
        job=replace(before.job, disabled=True, removal=removal),
        state=state,
        condition=JobCondition.DISABLED if removal is None else JobCondition.REMOVING,
        next_run=None,
    )
    return {"alpha": source(minute, off), "beta": target(minute, held=before.state.last_sync)}


TANK = PoolSpace("tank", PoolRole.TARGET, 10**13, 5 * 10**12)


def without_zsr(minute: int, *jobs: JobStatus, look: TargetLook | None = None) -> Fleet:
    """The fleet of alpha alone: beta is declared to run no zsr, and alpha looks at it.

    ``look``: what it sees there, if not a replica of guest 100 as it should be.
    """
    alpha = source(minute, *jobs)
    held = HeldReplica(guest=100, source="alpha", storage="local-zfs", last_sync=slot(moment(minute)))
    nodes = (Node("alpha", "10.0.0.1"), Node("beta", "10.0.0.2", zsr=False))
    seen = TargetLook((held,), {100: 0}, (TANK,)) if look is None else look
    return {"alpha": replace(alpha, nodes=nodes, targets={"beta": seen})}
