"""The grace of vanished volumes: what counts of the time that their replicas wait, whatever the clock does."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicator.models import Job, JobId, Vanished
from replicator.schedule.grace import (
    COUNT_SECONDS,
    NEVER,
    Terms,
    end_of,
    is_due,
    is_over,
    last_day,
    nearest_end,
    sight,
    sights,
    terms_of,
)

NOW, HOUR, DAY = 1_800_000_000.0, 3600.0, 86400.0
NAME = "tank/vm-100-disk-1"
WEEK = Terms(7 * DAY)


def seen(times: Iterable[float], terms: Terms = WEEK, known: Vanished | None = None) -> Vanished:
    """The record of a replica whose volume runs saw gone at these times."""
    for at in times:
        known = sight(known, NAME, 1, terms, at)
    assert known is not None
    return known


def every(gap: float, until: float) -> list[float]:
    """The times of runs, up to a moment."""
    return [NOW + gap * number for number in range(int(until / gap) + 1)]


def test_a_week_of_runs_is_a_week() -> None:
    assert not is_over(seen(every(900, 7 * DAY - HOUR)), WEEK)
    assert is_over(seen(every(900, 7 * DAY)), WEEK)


def test_the_end_is_foreseen_from_the_first_run_on() -> None:
    assert {end_of(seen(every(900, age)), WEEK) for age in (0, HOUR, DAY, 6 * DAY, 7 * DAY)} == {NOW + 7 * DAY}


def test_no_grace_is_over_at_the_first_run_and_never_is_never() -> None:
    assert is_over(seen([NOW], Terms(0.0)), Terms(0.0))
    never = seen(every(DAY, 4000 * DAY), Terms(NEVER))
    assert (is_over(never, Terms(NEVER)), end_of(never, Terms(NEVER)), never.announced) == (False, None, None)


def test_a_grace_that_is_set_later_counts_what_was_waited_and_is_announced_first() -> None:
    waited = seen(every(DAY, 30 * DAY), Terms(NEVER))
    [announced, tomorrow] = [seen([NOW + 30 * DAY + after], known=waited) for after in (HOUR, DAY + HOUR)]
    assert announced.announced == announced.waited
    assert (is_over(announced, WEEK), is_over(seen([NOW + 31 * DAY + HOUR], known=announced), WEEK)) == (False, True)
    assert not is_over(tomorrow, WEEK), "it was not announced a day before"


def test_a_clock_that_jumps_ahead_counts_one_day() -> None:
    jumped = seen([NOW, NOW + 400 * DAY])
    assert (jumped.waited, jumped.announced) == (DAY, None)


def test_a_clock_that_was_set_back_starts_the_grace_again() -> None:
    back = seen([*every(DAY, 6 * DAY), NOW + DAY])
    assert back == Vanished(NAME, 1, NOW, NOW + DAY)
    assert seen([NOW + 100, NOW + 70]).since == NOW + 100, "a small correction is none"


def test_a_record_from_a_backup_ends_no_grace_before_that_is_announced_again() -> None:
    """The volume was back since then, and is gone again."""
    restored = seen(every(900, 6.9 * DAY))
    assert restored.announced is not None
    later = seen([NOW + 40 * DAY], known=restored)
    assert (is_over(later, WEEK), later.announced, end_of(later, WEEK)) == (False, None, NOW + 41 * DAY)
    announced = seen([NOW + 40 * DAY + 900], known=later)
    assert announced.announced == announced.waited == 6 * DAY
    assert not is_over(seen([NOW + 40.9 * DAY], known=announced), WEEK)
    assert is_over(seen([NOW + 41 * DAY + 900], known=announced), WEEK)


def test_a_node_that_was_off_for_a_month_has_not_waited_for_it() -> None:
    assert seen([NOW, NOW + HOUR, NOW + 30 * DAY]).waited == DAY + HOUR


def test_a_weekly_job_counts_its_weeks_and_announces_the_end_a_run_before() -> None:
    weekly = terms_of(Job(JobId(100, 0), "beta", schedule="sun 03:00", grace=14 * DAY), NOW)
    runs = every(7 * DAY, 14 * DAY)
    assert seen(runs[:-1], weekly).waited == 7 * DAY
    assert not is_over(seen(runs, weekly), weekly)
    assert is_over(seen([*runs, NOW + 21 * DAY], weekly), weekly)


def test_another_dataset_of_the_name_waits_from_the_beginning() -> None:
    assert sight(seen(every(DAY, 5 * DAY)), NAME, 2, WEEK, NOW + 6 * DAY) == Vanished(
        NAME, 2, NOW + 6 * DAY, NOW + 6 * DAY
    )


def test_a_grace_that_is_made_longer_is_announced_again() -> None:
    longer = Terms(9 * DAY)
    over = seen(every(DAY, 7 * DAY))
    assert is_over(over, WEEK)
    assert not is_over(seen([NOW + 8 * DAY], longer, over), longer)
    assert seen([NOW + 8 * DAY], longer, over).announced == 8 * DAY


def test_time_is_counted_once_an_hour() -> None:
    assert seen([NOW, NOW + COUNT_SECONDS - 1]).seen == NOW
    assert seen([NOW, NOW + COUNT_SECONDS]).seen == NOW + COUNT_SECONDS


def test_what_is_not_seen_does_not_wait() -> None:
    away, gone = Vanished("pond/a", 1, NOW, NOW), Vanished("tank/b", 2, NOW, NOW)
    assert sights([away, gone], {}, ["pond"], WEEK, NOW + DAY) == (away,)


def test_the_nearest_end_leaves_out_what_stays_in_spite_of_its_end() -> None:
    early, late = Vanished("tank/a", 1, NOW, NOW, waited=DAY), Vanished("tank/b", 2, NOW, NOW)
    held = Vanished("tank/c", 3, NOW, NOW, waited=9 * DAY, announced=6 * DAY, kept="it is mounted")
    assert nearest_end([late, early, held], WEEK) == NOW + 6 * DAY
    assert nearest_end([early], Terms(NEVER)) is nearest_end([held], WEEK) is nearest_end([], WEEK) is None


@pytest.mark.parametrize(("kept", "after", "due"), [("", 60, True), ("it is mounted", 60, False), ("busy", HOUR, True)])
def test_an_end_is_tried_at_once_and_hourly_where_the_replica_had_to_stay(kept: str, after: float, due: bool) -> None:
    known = Vanished(NAME, 1, NOW, NOW, kept=kept)
    assert is_due(seen([NOW + after], Terms(0.0), known), Terms(0.0), NOW + after) is due


STEPS = st.lists(st.floats(-30 * DAY, 400 * DAY) | st.floats(0, DAY), max_size=60)


@given(STEPS, st.sampled_from([0.0, HOUR, DAY, DAY + 1, 3 * DAY, 7 * DAY]))
def test_whatever_the_clock_does_a_grace_needs_its_days_and_is_announced_a_counted_day_before(
    steps: list[float], grace: float
) -> None:
    terms, now = Terms(grace), NOW
    known: Vanished | None = None
    counted, since_announced, announced = 0.0, 0.0, False
    for step in [0.0, *steps]:
        now += step
        before = known
        known = sight(known, NAME, 1, terms, now)
        gained = known.waited - (before.waited if before else 0.0)
        assert gained <= DAY
        counted = counted + gained if gained >= 0 else known.waited  # it began again, or has a last day again
        since_announced = since_announced + gained if announced and gained >= 0 else 0.0
        announced = known.announced is not None
        if is_over(known, terms):
            assert counted >= grace * (1 - 1e-9)
            if grace > DAY:
                assert before is not None
                assert before.announced is not None, "it was announced by an earlier run"
                assert since_announced >= DAY * (1 - 1e-9)


@given(STEPS)
def test_a_last_day_that_begins_again_lasts_a_counted_day(steps: list[float]) -> None:
    known: Vanished | None = last_day(Vanished(NAME, 1, NOW, NOW, 9 * DAY, 6 * DAY, kept="mounted"), WEEK)
    now = NOW
    for step in steps:
        now += step
        known = sight(known, NAME, 1, WEEK, now)
        if is_over(known, WEEK):
            assert known.waited >= 7 * DAY
            assert known.announced is not None
            assert known.waited - known.announced >= DAY


def test_a_replica_that_stayed_in_spite_of_its_end_waits_again_when_the_grace_is_made_longer() -> None:
    stayed = replace(seen(every(DAY, 8 * DAY)), kept="it is mounted")
    assert seen([NOW + 8 * DAY + HOUR], WEEK, stayed).kept == "it is mounted"
    assert seen([NOW + 8 * DAY + HOUR], Terms(30 * DAY), stayed).kept == ""
