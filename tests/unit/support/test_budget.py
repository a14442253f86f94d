"""The table of seconds by folder at the end of `make test`."""

from __future__ import annotations

from pathlib import Path

from tests.support.budget import BUDGET_SECONDS, table

TESTS = Path(__file__).parents[2]


def test_each_folder_is_shown_with_its_seconds_and_budget() -> None:
    text = table({"tests/unit": 7, "tests/lab": 2}, {"tests/unit": 1.4, "tests/lab": 90.0}, {"tests/lab": 100})
    assert [line.split() for line in text.splitlines()] == [
        ["folder", "tests", "seconds", "budget"],
        ["tests/lab", "2", "90", "100"],
        ["tests/unit", "7", "1", "-"],
        ["all", "9", "91", "100"],
    ]


def test_a_folder_over_its_budget_is_marked() -> None:
    lines = table({"tests/lab": 1}, {"tests/lab": 101.0}, {"tests/lab": 100}).splitlines()
    assert lines[1].endswith("over budget")


def test_every_folder_of_tests_has_a_budget() -> None:
    folders = {f"tests/{path.parent.relative_to(TESTS).parts[0]}" for path in TESTS.glob("*/**/test_*.py")}
    assert folders == set(BUDGET_SECONDS)


def test_all_budgets_together_leave_room_for_the_build_of_the_lab() -> None:
    minutes_on_two_processors = sum(BUDGET_SECONDS.values()) / 2 / 60
    assert minutes_on_two_processors + 5 <= 36
