"""What ``state.db`` knows of drills."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from replicator.events import GuestDrilled
from replicator.models import DrillResult, JobId
from replicator.state.stores import State

JOB = JobId(100, 0)
NOW = 1_800_000_000.0
PASSED = GuestDrilled(NOW + 60, JOB, "beta", DrillResult.PASSED, "all read.", int(NOW) - 900, 60.0)
FAILED = replace(PASSED, time=NOW + 600, result=DrillResult.FAILED, message="a fault.")
UNDONE = replace(PASSED, time=NOW + 900, result=DrillResult.UNDONE, message="no answer.", set_time=None)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    state = State.open(tmp_path / "state.db")
    yield state
    state.close()


def test_one_that_may_have_clones_is_known_before_they_are_made_and_until_they_are_gone(state: State) -> None:
    state.drills.opening(JOB, "beta", NOW)
    [known] = state.drills.all()
    assert (known.last_try, known.may_be_open, known.result) == (NOW, True, None)
    state.drills.forget(100, "beta")
    assert state.drills.all() == [known]
    state.drills.closed(100, "beta")
    state.drills.forget(100, "beta")
    assert state.drills.all() == []


def test_the_last_result_counts_and_each_is_counted(state: State) -> None:
    for event in (PASSED, FAILED):
        state.drills.record(event)
    known = state.drills.get(100, "beta")
    assert known is not None
    assert (known.result, known.message, known.time, known.last_pass) == ("failed", "a fault.", NOW + 600, NOW + 60)
    assert dict(known.counts) == {"passed": 1, "failed": 1, "undone": 0}


def test_one_that_could_not_be_done_replaces_no_result_and_is_no_event(state: State) -> None:
    for event in (FAILED, UNDONE):
        state.drills.record(event)
    known = state.drills.get(100, "beta")
    assert known is not None
    assert (known.result, known.obstacle, known.time) == ("failed", "no answer.", NOW + 600)
    assert dict(known.counts) == {"passed": 0, "failed": 1, "undone": 1}
    state.drills.record(PASSED)
    again = state.drills.get(100, "beta")
    assert again is not None
    assert again.obstacle is None
    assert [event for _, event in state.journal.events(0)] == [FAILED, replace(PASSED, recovered=True)]


def test_a_long_message_is_shortened(state: State) -> None:
    state.drills.record(replace(FAILED, message="x" * 100_000))
    known = state.drills.get(100, "beta")
    assert known is not None
    assert len(known.message) < 2100
