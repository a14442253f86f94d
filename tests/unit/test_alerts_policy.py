"""Which failures are told: 1, 2, 3, then one a day, and the all-clear."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from alerts.policy import REPEAT_AFTER, Incident, judge, worst_lag
from replicator.errors import ErrorClass
from replicator.events import Event, JobRemoved, RunCancelled, RunFailed, RunStarted, RunSucceeded
from replicator.jobs import JobId

JOB = JobId(100, 0)
HALF_HOUR = 1800.0


def failed(time: float, consecutive: int, last_sync: float | None = 500.0) -> RunFailed:
    return RunFailed(
        time=time,
        job=JOB,
        run=consecutive,
        error_class=ErrorClass.NETWORK,
        message="Node beta does not answer.",
        advice="Check it.",
        consecutive=consecutive,
        failing_since=1000.0,
        last_sync=last_sync,
        next_run=time + HALF_HOUR,
    )


def succeeded(time: float, recovered_after: int) -> RunSucceeded:
    return RunSucceeded(
        time,
        JOB,
        1,
        time - 10,
        10.0,
        5,
        recovered_after=recovered_after,
        failing_since=1000.0 if recovered_after else None,
    )


def told_of(events: list[Event]) -> list[Event]:
    """The events that are told when each message arrives at once."""
    incident, told = None, []
    for event in events:
        verdict = judge(event, incident)
        incident = verdict.remember
        if verdict.tell:
            told.append(event)
    return told


def test_the_first_three_failures_are_told_and_the_fourth_is_not() -> None:
    failures: list[Event] = [failed(1000.0 + 600 * number, number) for number in range(1, 5)]
    assert told_of(failures) == failures[:3]


def test_a_job_that_fails_for_three_days_is_told_thrice_and_then_once_a_day() -> None:
    failures: list[Event] = [failed(HALF_HOUR * number, number) for number in range(1, 3 * 48 + 1)]
    told = [event.time for event in told_of(failures)]
    third = 3 * HALF_HOUR
    assert told == [HALF_HOUR, 2 * HALF_HOUR, third, third + REPEAT_AFTER, third + 2 * REPEAT_AFTER]


def test_a_success_after_failures_is_told_and_a_usual_one_is_not() -> None:
    assert judge(succeeded(5000, recovered_after=2), Incident(told=1000.0)).tell
    assert not judge(succeeded(5000, recovered_after=0), None).tell


def test_a_recovery_forgets_the_job_so_the_next_failure_is_told_as_the_first() -> None:
    events: list[Event] = [
        *(failed(600.0 * number, number) for number in range(1, 8)),
        succeeded(9000, 7),
        failed(9600, 1),
    ]
    assert told_of(events) == [*events[:3], *events[7:]]


def test_a_failure_is_told_if_none_before_it_was() -> None:
    assert judge(failed(90_000, 40), None).tell


def test_a_removed_job_is_forgotten_without_a_message() -> None:
    verdict = judge(JobRemoved(2000.0, JOB), Incident(told=1000.0))
    assert (verdict.tell, verdict.remember) == (False, None)


def test_starts_and_cancelled_runs_neither_tell_nor_forget() -> None:
    incident = Incident(told=1000.0, synced=500.0)
    for event in (RunStarted(2000.0, JOB, 1), RunCancelled(2000.0, JOB, 1)):
        verdict = judge(event, incident)
        assert (verdict.tell, verdict.remember) == (False, incident)


def test_a_message_that_was_given_up_counts_as_not_told() -> None:
    verdict = judge(failed(90_000, 40), Incident(told=None, synced=500.0))
    assert verdict.dropped is not None
    assert judge(failed(91_800, 41), verdict.dropped).tell


def test_a_clock_that_was_set_back_does_not_silence_a_job() -> None:
    assert judge(failed(5000, 50), Incident(told=1_000_000.0)).tell


def test_the_worst_lag_is_counted_from_the_sync_before_the_failures() -> None:
    incident = judge(failed(1000, 1, last_sync=500.0), None).remember
    assert worst_lag(succeeded(4100, 1), incident) == 3600


def test_there_is_no_worst_lag_where_there_was_no_replica() -> None:
    incident = judge(failed(1000, 1, last_sync=None), None).remember
    assert worst_lag(succeeded(4100, 1), incident) is None


@given(st.lists(st.floats(min_value=60, max_value=100_000), min_size=4, max_size=80))
def test_at_no_pace_of_failures_more_than_three_and_one_a_day_are_told(gaps: list[float]) -> None:
    time, failures = 1000.0, []
    for number, gap in enumerate(gaps, start=1):
        time += gap
        failures.append(failed(time, number))
    told = told_of(list(failures))
    assert told[:3] == failures[:3]
    repeats = [event.time for event in told[2:]]
    assert all(later - earlier >= REPEAT_AFTER for earlier, later in pairwise(repeats))
