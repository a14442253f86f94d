"""The metrics of drills."""

from __future__ import annotations

from dataclasses import replace

from replicator.api.drills import LONGEST_WITHOUT_SECONDS
from tests.support.drills import DAY, failed_drill, overdue_drill, passed_drill
from tests.support.scraped import Series, scrape, value
from tests.support.statuses import NOW, status

KNOWN = {"guest": "100", "node": "beta"}


def shown(found: dict[Series, float], name: str, **more: str) -> float | None:
    """The value of a metric of guest 100 on beta."""
    return value(found, f"zsr_{name}", **KNOWN, **more)


def test_a_drill_that_passed() -> None:
    found = scrape(replace(status(), drills=(passed_drill(),)))
    assert shown(found, "drill_last_success_timestamp_seconds") == NOW - DAY
    assert shown(found, "drill_last_timestamp_seconds") == NOW - DAY
    assert (shown(found, "drill_failed"), shown(found, "drill_undone")) == (0, 0)
    assert shown(found, "drill_last_duration_seconds") == 120
    assert shown(found, "drill_last_set_age_seconds") == 900
    assert shown(found, "drill_awaited_since_timestamp_seconds") == NOW - DAY
    assert shown(found, "drill_limit_seconds") == LONGEST_WITHOUT_SECONDS
    counts = [shown(found, "drills_total", result=result) for result in ("passed", "failed", "undone")]
    assert counts == [3, 0, 0]


def test_one_that_failed_keeps_the_time_of_the_last_success() -> None:
    found = scrape(replace(status(), drills=(failed_drill(),)))
    assert shown(found, "drill_failed") == 1
    assert shown(found, "drill_last_success_timestamp_seconds") == NOW - 3600 - 7 * DAY


def test_one_that_could_not_be_done_keeps_the_result_of_the_one_before() -> None:
    found = scrape(replace(status(), drills=(overdue_drill(),)))
    assert (shown(found, "drill_failed"), shown(found, "drill_undone")) == (0, 1)


def test_before_the_first_there_are_no_times() -> None:
    new = replace(passed_drill(), result=None, time=None, duration=None, set_time=None, last_pass=None)
    found = scrape(replace(status(), drills=(new,)))
    absent = ("last_success_timestamp_seconds", "last_timestamp_seconds", "failed", "last_duration_seconds")
    assert [shown(found, f"drill_{name}") for name in absent] == [None] * 4
    assert shown(found, "drill_awaited_since_timestamp_seconds") == NOW - DAY
