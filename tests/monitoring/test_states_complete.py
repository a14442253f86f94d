"""No row of the review's tables is without a verdict: each is a state, or shown elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.monitoring import states as package
from tests.support.states import states
from tests.support.states_elsewhere import ELSEWHERE, ROWS
from tests.support.states_produced import BY_A_DAEMON, IN_THE_LAB, ON_REAL_NODES

KEYS = frozenset(state.key for state in states(package))
ROOT = Path(__file__).parents[2]


def test_every_row_has_a_verdict() -> None:
    assert set(ROWS) - KEYS - ELSEWHERE.keys() == set()


def test_no_row_has_two() -> None:
    assert KEYS & ELSEWHERE.keys() == set()


def test_no_two_states_have_one_key() -> None:
    assert len(states(package)) == len(KEYS)


def test_only_rows_are_shown_elsewhere() -> None:
    assert ELSEWHERE.keys() <= set(ROWS)


@pytest.mark.parametrize("row", ELSEWHERE)
def test_what_shows_a_row_exists(row: str) -> None:
    path, _, test = ELSEWHERE[row].shown_by.partition("::")
    assert f"def {test}(" in (ROOT / path).read_text() if test else (ROOT / path).exists()
    assert ELSEWHERE[row].because


def test_only_states_are_produced_for_real() -> None:
    assert {*BY_A_DAEMON, *IN_THE_LAB, *ON_REAL_NODES} <= KEYS


def test_no_fewer_states_than_before_are_produced_by_real_nodes() -> None:
    assert len(ON_REAL_NODES) >= 30


@pytest.mark.parametrize("test", IN_THE_LAB.values())
def test_the_lab_has_a_test_for_what_it_produces(test: str) -> None:
    assert f"def {test}(" in (ROOT / "tests/lab/test_drill.py").read_text()
