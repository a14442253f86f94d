"""Which job runs next, as laws: the order, one run a guest, the ladder, and jobs that never run."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicator.models import JobId
from replicator.schedule.calendar import CalendarEvent
from replicator.schedule.scheduler import (
    RPO_WITHOUT_EVENTS_SECONDS,
    Scheduled,
    backoff,
    choose,
    due,
    ladder_steps,
    missed_runs,
    next_run,
    rpo,
)

QUARTERLY = CalendarEvent.parse("*/15")


def job(text: str = "100-0", last_try: float = 1000.0, failures: int = 0, schedule: str = "*/15") -> Scheduled:
    return Scheduled(
        JobId.parse(text), CalendarEvent.parse(schedule), UTC, last_try=last_try, consecutive_failures=failures
    )


job_ids = st.builds(JobId, st.integers(100, 104), st.integers(0, 3))
job_sets = st.lists(
    st.builds(
        Scheduled,
        job_ids,
        st.just(QUARTERLY),
        st.just(UTC),
        last_try=st.sampled_from([0.0, 1000.0, 1900.0, 5000.0]),
        consecutive_failures=st.integers(0, 5),
        disabled=st.booleans(),
    ),
    unique_by=lambda scheduled: scheduled.id,
    max_size=12,
)


def test_a_job_that_was_never_tried_is_due_at_once() -> None:
    assert next_run(job(last_try=0)) == 0


def test_also_a_one_shot_in_the_future_is_due_at_once_if_never_tried() -> None:
    assert next_run(job(last_try=0, schedule="2100-1-1")) == 0


def test_the_next_run_is_the_first_event_after_the_last_attempt_began() -> None:
    assert next_run(job(last_try=900)) == 1800
    assert next_run(job(last_try=899)) == 900


def test_a_schedule_that_has_no_event_left_never_runs_again() -> None:
    assert next_run(job(schedule="1960-1-1")) is None


@pytest.mark.parametrize(("failures", "minutes"), [(1, 5), (2, 10), (3, 15), (4, 30), (5, 30), (99, 30)])
def test_retries_come_up_the_ladder_from_the_start_of_the_last_attempt(failures: int, minutes: int) -> None:
    assert backoff(failures) == minutes * 60
    assert next_run(job(last_try=1000, failures=failures, schedule="daily")) == 1000 + minutes * 60


@pytest.mark.parametrize(
    ("schedule", "failures", "at"),
    [("*/1", 1, 1020), ("*/1", 99, 1020), ("*/15", 1, 1300), ("*/15", 2, 1600), ("*/15", 3, 1800), ("*/15", 99, 1800)],
)
def test_a_retry_never_comes_later_than_the_next_slot(schedule: str, failures: int, at: float) -> None:
    assert next_run(job(last_try=1000, failures=failures, schedule=schedule)) == at


def test_a_failing_job_whose_schedule_is_over_is_tried_by_the_ladder() -> None:
    assert next_run(job(last_try=1000, failures=1, schedule="1960-1-1")) == 1300


@given(st.sampled_from(["*/1", "*/7", "*/15", "hourly", "1:00", "mon 2:00"]), st.floats(1, 1e9), st.integers(0, 12))
def test_no_failure_makes_a_job_wait_longer(schedule: str, last_try: float, failures: int) -> None:
    well, failed = (next_run(job(last_try=last_try, failures=count, schedule=schedule)) for count in (0, failures))

    assert well is not None
    assert failed is not None
    assert last_try < failed <= well


@pytest.mark.parametrize(
    ("failures", "elapsed", "steps"),
    [
        (1, 0, 1), (1, 1e6, 1), (2, 60, 1), (2, 300, 2), (6, 299, 1), (6, 300, 2), (15, 899, 2), (16, 900, 3),
        (31, 1800, 4), (60, 3599, 4), (60, 3600, 5), (3, 1e6, 3), (5, -60, 1),
    ],
)  # fmt: skip
def test_failures_that_come_faster_than_the_ladder_are_counted_as_it_would_make_them(
    failures: int, elapsed: float, steps: int
) -> None:
    assert ladder_steps(failures, elapsed) == steps


def test_a_target_that_answers_again_makes_its_failing_job_due_at_once() -> None:
    assert next_run(replace(job(last_try=1000, failures=4), answered_at=1120)) == 1120


def test_an_answer_never_puts_a_retry_off() -> None:
    assert next_run(replace(job(last_try=1000, failures=1), answered_at=5000)) == 1300


def test_an_answer_older_than_the_attempt_does_not_date_the_retry_before_it() -> None:
    assert next_run(replace(job(last_try=1000, failures=1), answered_at=400)) == 1000


def test_an_answering_target_does_not_hurry_a_job_that_is_well() -> None:
    assert next_run(replace(job(last_try=1000), answered_at=1010)) == 1800


def test_a_removal_is_due_at_once_but_climbs_the_ladder_when_it_fails() -> None:
    assert next_run(replace(job(), removing=True)) == 0
    assert next_run(replace(job(last_try=1000, failures=2), removing=True)) == 1600


@given(job_sets, st.floats(0, 1e10))
def test_disabled_jobs_never_run(jobs: list[Scheduled], now: float) -> None:
    assert not [ready for ready in due(jobs, now) if ready.disabled]


@given(job_sets, st.integers(0, 10_000))
def test_the_due_are_ordered_by_time_then_guest_then_number(jobs: list[Scheduled], now: int) -> None:
    ready = due(jobs, now)

    keys = [(next_run(one) or 0.0, one.id.guest, one.id.number) for one in ready]
    assert keys == sorted(keys)
    assert {one.id for one in ready} == {one.id for one in jobs if (when := next_run(one)) is not None and when <= now}


def test_guests_and_numbers_are_ordered_as_numbers() -> None:
    jobs = [job(text, last_try=0) for text in ("1000-0", "100-10", "100-2", "200-0")]

    assert [str(one.id) for one in due(jobs, 0)] == ["100-2", "100-10", "200-0", "1000-0"]


@given(job_sets, st.sets(job_ids, max_size=3), st.integers(1, 4), st.integers(0, 10_000))
def test_two_runs_of_one_guest_never_go_on_at_once(
    jobs: list[Scheduled], running: set[JobId], max_parallel: int, now: int
) -> None:
    chosen = choose(jobs, running, now, max_parallel)

    if chosen is None:
        free = [one for one in due(jobs, now) if one.id.guest not in {other.guest for other in running}]
        assert not free or len(running) >= max_parallel
    else:
        assert len(running) < max_parallel
        assert chosen.id.guest not in {other.guest for other in running}


@given(job_sets, st.sets(job_ids, max_size=3), st.integers(1, 4), st.integers(0, 10_000), st.data())
def test_a_full_copy_keeps_no_job_of_another_guest_waiting(
    jobs: list[Scheduled], running: set[JobId], max_parallel: int, now: int, data: st.DataObject
) -> None:
    full_copies = data.draw(st.sets(st.sampled_from(sorted(running)))) if running else set()

    chosen = choose(jobs, running, now, max_parallel, full_copies)

    guests = {copy.guest for copy in full_copies}
    free = [one for one in jobs if one.id.guest not in guests]
    assert chosen == choose(free, running - full_copies, now, max_parallel)


def test_a_busy_guest_does_not_hold_up_the_others() -> None:
    jobs = [job("100-0", last_try=0), job("100-1", last_try=0), job("101-0", last_try=0)]

    chosen = choose(jobs, {JobId(100, 0)}, 1000, 2)

    assert chosen is not None
    assert str(chosen.id) == "101-0"


@pytest.mark.parametrize(("last", "start", "missed"), [(900, 1800, 0), (900, 1700, 0), (900, 2700, 1), (901, 9000, 8)])
def test_slots_that_passed_without_a_start_are_missed_but_for_the_one_served_now(
    last: float, start: float, missed: int
) -> None:
    assert missed_runs(QUARTERLY, UTC, last, start) == missed


def test_a_job_that_never_started_missed_nothing() -> None:
    assert missed_runs(QUARTERLY, UTC, 0, 1e9) == 0


@pytest.mark.parametrize(
    ("schedule", "own", "promise"),
    [
        ("*/15", None, 1800),
        ("*/15", 600.0, 600),
        ("mon..fri 8:00", None, 2 * 3 * 86400),
        ("2020-1-1", None, RPO_WITHOUT_EVENTS_SECONDS),
    ],
)
def test_the_promise_is_the_jobs_own_or_twice_the_longest_gap(schedule: str, own: float | None, promise: float) -> None:
    assert rpo(CalendarEvent.parse(schedule), own, 1.75e9) == promise
