"""The rows of the review's two tables that are no state of their own, and what shows that each is reported.

A row is a state of `tests.monitoring.states`, or stands here with a reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

ROWS = (
    *(f"monitoring {number}" for number in range(1, 81)),
    *(f"states {number}" for number in (1, 2, 3, 4, 5, 8, 9, 10, 12, 14, 15, 16, 17, 20, 22)),
)


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Why a row is not a state of its own, and where it is shown: a file, or a file and the test in it."""

    because: str
    shown_by: str


_PAGES = "tests/unit/alerts/delivery/test_pages.py"

ELSEWHERE: Mapping[str, Elsewhere] = {
    "monitoring 74": Elsewhere(
        "it is about a digest's words",
        "tests/unit/alerts/render/test_digest.py::test_no_title_says_that_all_is_well_above_a_row_that_is_not",
    ),
    "monitoring 80": Elsewhere(
        "it is a property of the rules: which labels a result has",
        "tests/unit/alerts/test_rules.py::test_pint_would_have_no_remark",
    ),
    "states 2": Elsewhere("it is about a route", f"{_PAGES}::test_a_broken_promise_is_a_page_within_three_minutes"),
    "states 3": Elsewhere(
        "it is about a route", f"{_PAGES}::test_a_page_in_quiet_hours_passes_the_warnings_and_says_that_there_are_some"
    ),
    "states 5": Elsewhere(
        "ZsrGuestIdle looks back for weeks, of which a state has no samples", "alerts/rules/tests/idle_test.yml"
    ),
    "states 20": Elsewhere(
        "it is about routes that fit no job; zsr config check and zsr notify explain say which",
        "tests/unit/alerts/routing/test_route_gaps.py::test_a_job_that_was_made_after_the_routes",
    ),
}
