"""docs/states.md is the table of the states as their tests show them."""

from __future__ import annotations

import re
from pathlib import Path

from tests.monitoring import states as package
from tests.support.states import State, states
from tests.support.states_produced import ON_REAL_NODES
from tools.docs_tables import with_states
from tools.states_table import states_table

PAGE = Path(__file__).parents[3] / "docs" / "states.md"


def test_the_page_is_up_to_date() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert with_states(text) == text, "run: python -m tools.docs_tables docs/states.md"


def test_every_state_has_its_row_of_six_cells() -> None:
    rows = [line for line in states_table().splitlines() if line.startswith("|")]
    assert len(rows) == len(states(package)) + 2
    assert {len(re.split(r"(?<!\\)\|", row)) for row in rows} == {8}


def test_the_table_begins_with_how_many_states_are_produced_for_real() -> None:
    first = states_table().splitlines()[0]
    assert first.startswith(f"{len(states(package))} states. ")
    assert f"{len(ON_REAL_NODES)} by real nodes on one machine" in first


def test_a_row_names_what_reports_its_state() -> None:
    rows = {state.title: row for state, row in _rows()}
    shown = next(row for title, row in rows.items() if "removal of a job fails" in title)
    assert "ZsrJobFailing.md) warning, 20 min" in shown
    assert "`removal-stuck` warning, 16 min" in shown


def test_a_state_for_a_watcher_outside_says_what_to_set_up() -> None:
    assert all("outside: " in row for state, row in _rows() if state.outside)
    assert any(state.outside for state, _ in _rows())


def _rows() -> list[tuple[State, str]]:
    lines = states_table().splitlines()
    return [(state, next(line for line in lines if f"| {state.title} |" in line)) for state in states(package)]
