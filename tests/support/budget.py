"""The time budget of each folder of tests, and a table of the seconds that they took."""

from __future__ import annotations

from collections.abc import Mapping

BUDGET_SECONDS: Mapping[str, int] = {
    "tests/lab": 1900,
    "tests/model": 30,
    "tests/monitoring": 700,
    "tests/packaging": 240,
    "tests/unit": 300,
    "tests/zfs": 550,
}
"""Seconds of all tests of a folder, one after the other, on a machine that does nothing else.

Shared by two processors this is 30 minutes; the lab's kernel, built meanwhile where it is missing, takes 5 more.
"""


def table(tests: Mapping[str, int], seconds: Mapping[str, float], budget: Mapping[str, int]) -> str:
    """Tests, seconds and budget of each folder, one line each, and their sums. Over the budget is said, no error."""
    lines = [_line(folder, tests[folder], seconds[folder], budget.get(folder)) for folder in sorted(seconds)]
    known = [budget[folder] for folder in seconds if folder in budget]
    lines.append(_line("all", sum(tests.values()), sum(seconds.values()), sum(known)))
    return f"{'folder':<20}{'tests':>7}{'seconds':>9}{'budget':>8}\n" + "".join(lines)


def _line(folder: str, tests: int, seconds: float, budget: int | None) -> str:
    over = "  over budget" if budget is not None and seconds > budget else ""
    allowed = "-" if budget is None else str(budget)
    return f"{folder:<20}{tests:>7}{seconds:>9.0f}{allowed:>8}{over}\n"
