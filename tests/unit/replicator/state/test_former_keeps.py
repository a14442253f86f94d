"""A `keep` that changed in the file: what the former one wants waits for the grace; an order by a person does not."""

from __future__ import annotations

import json
from math import inf

from replicator.models import JobId
from replicator.state.former_keeps import STORE
from replicator.state.stores import State
from tests.support.state_records import JOB, NOW

DAY = 86400.0
WEEK = 7 * DAY


def test_the_first_keep_of_a_job_replaces_none(state: State) -> None:
    assert state.keeps.note(JOB, "7d:1d", WEEK, NOW) == {}
    assert state.keeps.note(JOB, "7d:1d", WEEK, NOW + DAY) == {}


def test_a_former_keep_waits_for_the_grace_and_no_longer(state: State) -> None:
    state.keeps.note(JOB, "7d:1d", WEEK, NOW)
    assert state.keeps.note(JOB, "1", WEEK, NOW + DAY) == {"7d:1d": NOW + DAY}
    for number in range(2, 8):
        assert state.keeps.note(JOB, "1", WEEK, NOW + number * DAY) == {"7d:1d": NOW + DAY}
    assert state.keeps.note(JOB, "1", WEEK, NOW + 8 * DAY) == {}


def test_a_clock_that_jumps_ahead_or_was_behind_shortens_the_wait_by_a_day_at_most(state: State) -> None:
    state.keeps.note(JOB, "7d:1d", WEEK, NOW)
    state.keeps.note(JOB, "1", WEEK, NOW + 60)
    jumped = NOW + 365 * DAY
    assert state.keeps.known(JOB, "1", WEEK, jumped) == {"7d:1d": jumped - DAY}
    assert state.keeps.note(JOB, "1", WEEK, jumped) == {"7d:1d": jumped - DAY}
    assert state.keeps.note(JOB, "1", WEEK, jumped + 60) == {"7d:1d": jumped - DAY}


def test_of_a_rare_schedule_its_gap_counts(state: State) -> None:
    state.keeps.note(JOB, "7d:1d", WEEK, NOW)
    state.keeps.note(JOB, "1", WEEK, NOW)
    assert state.keeps.note(JOB, "1", WEEK, NOW + 7 * DAY, gap=14 * DAY) == {}


def test_what_an_older_zsr_noted_waits_from_then_on(state: State) -> None:
    text = json.dumps({"keep": "1", "ended": {"7d:1d": NOW}})
    state.plugin_store(STORE).put(str(JOB), text)
    assert state.keeps.note(JOB, "1", WEEK, NOW + DAY / 2) == {"7d:1d": NOW}


def test_of_several_changes_each_former_keep_waits(state: State) -> None:
    for number, keep in enumerate(("5000", "500", "1")):
        found = state.keeps.note(JOB, keep, WEEK, NOW + number * DAY)
    assert found == {"5000": NOW + DAY, "500": NOW + 2 * DAY}


def test_a_keep_that_comes_back_is_no_former_one(state: State) -> None:
    for keep in ("7d:1d", "1", "7d:1d"):
        found = state.keeps.note(JOB, keep, WEEK, NOW)
    assert found == {"1": NOW}


def test_without_a_grace_it_waits_for_ever(state: State) -> None:
    state.keeps.note(JOB, "7d:1d", inf, NOW)
    assert state.keeps.note(JOB, "1", inf, NOW + 1000 * DAY) == {"7d:1d": NOW + 1000 * DAY}
    assert list(state.keeps.note(JOB, "1", inf, NOW + 9000 * DAY)) == ["7d:1d"]


def test_a_clock_that_was_set_back_does_not_shorten_the_wait(state: State) -> None:
    state.keeps.note(JOB, "7d:1d", WEEK, NOW)
    state.keeps.note(JOB, "1", WEEK, NOW + 900 * DAY)
    assert state.keeps.note(JOB, "1", WEEK, NOW) == {"7d:1d": NOW}


def test_an_order_counts_at_once(state: State) -> None:
    state.keeps.note(JOB, "7d:1d", WEEK, NOW)
    state.keeps.confirm(JOB, "1")
    assert state.keeps.note(JOB, "1", WEEK, NOW + 1) == {}


def test_who_only_asks_writes_nothing(state: State) -> None:
    state.keeps.note(JOB, "7d:1d", WEEK, NOW)
    assert state.keeps.known(JOB, "1", WEEK, NOW + 5) == {"7d:1d": NOW + 5}
    assert state.keeps.known(JOB, "7d:1d", WEEK, NOW + 5) == {}


def test_a_job_that_is_forgotten_leaves_none_to_the_next_of_its_number(state: State) -> None:
    state.keeps.note(JOB, "7d:1d", WEEK, NOW)
    state.keeps.note(JobId(200, 0), "5", WEEK, NOW)
    state.jobs.forget(JOB, NOW)
    assert state.keeps.note(JOB, "1", WEEK, NOW) == {}
    assert state.keeps.note(JobId(200, 0), "1", WEEK, NOW) == {"5": NOW}


class TestWhatAnotherJobWanted:
    OTHER = JobId(300, 0)

    def test_counts_for_the_grace_of_the_job_that_got_its_restore_points(self, state: State) -> None:
        state.keeps.note(JOB, "1", WEEK, NOW)
        state.keeps.inherit(JOB, "1", ["10", "1"], NOW)
        assert state.keeps.note(JOB, "1", WEEK, NOW + DAY) == {"10": NOW}
        assert state.keeps.note(JOB, "1", WEEK, NOW + DAY * 2) == {"10": NOW}

    def test_may_be_noted_before_the_first_run_of_the_job(self, state: State) -> None:
        state.keeps.inherit(JOB, "1", ["10"], NOW)
        assert state.keeps.note(JOB, "1", WEEK, NOW + 60) == {"10": NOW}

    def test_is_its_keep_and_what_it_had_lately(self, state: State) -> None:
        assert state.keeps.wanted(self.OTHER) == ()
        state.keeps.note(self.OTHER, "7d:1d", WEEK, NOW)
        state.keeps.note(self.OTHER, "2", WEEK, NOW + DAY)
        assert state.keeps.wanted(self.OTHER) == ("2", "7d:1d")
