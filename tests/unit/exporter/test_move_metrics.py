"""The metrics of moves."""

from __future__ import annotations

from dataclasses import replace

from tests.support.moved_guests import MOVED, MOVING
from tests.support.scraped import scrape, value
from tests.support.statuses import NOW, status


def test_moves_and_recoveries_are_counted_apart_and_the_last_downtime_is_shown() -> None:
    found = scrape(replace(status(), moves=(MOVED,)))
    counts = {how: value(found, "zsr_guest_moves_total", guest="100", how=how) for how in ("moved", "recovered")}
    assert counts == {"moved": 3, "recovered": 1}
    assert value(found, "zsr_guest_last_move_timestamp_seconds", guest="100") == NOW - 60
    assert value(found, "zsr_guest_last_move_downtime_seconds", guest="100") == 6.5


def test_a_downtime_that_is_not_known_is_absent_and_not_zero() -> None:
    found = scrape(replace(status(), moves=(replace(MOVED, downtime=None),)))
    assert value(found, "zsr_guest_last_move_downtime_seconds", guest="100") is None


def test_a_guest_that_never_moved_has_no_series() -> None:
    assert value(scrape(status()), "zsr_guest_moves_total", guest="100", how="moved") is None


def test_since_when_a_guest_is_being_moved_is_shown_with_where_it_goes() -> None:
    found = scrape(replace(status(), moving=(MOVING,)))
    assert value(found, "zsr_guest_moving_since_timestamp_seconds", guest="100", node="beta") == MOVING.since
    assert value(scrape(status()), "zsr_guest_moving_since_timestamp_seconds", guest="100", node="beta") is None
