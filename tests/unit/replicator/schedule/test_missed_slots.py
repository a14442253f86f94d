"""Slots that passed without a start are counted by arithmetic, whatever the schedule, the zone and the time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replicator.schedule.calendar import CalendarEvent
from replicator.schedule.scheduler import missed_runs
from tests.support.calendar_specs import NaiveEvent, schedules

APIA = ZoneInfo("Pacific/Apia")
"""It left out the whole 30 December 2011."""
CASABLANCA = ZoneInfo("Africa/Casablanca")
"""It goes back for Ramadan and forward again a month later."""
ZONES = (
    UTC,
    ZoneInfo("Europe/Vienna"),
    ZoneInfo("Australia/Lord_Howe"),
    ZoneInfo("America/Sao_Paulo"),
    APIA,
    CASABLANCA,
)


class CountingZone(tzinfo):
    """Vienna, which counts how often it is asked for its offset."""

    def __init__(self) -> None:
        self.asked = 0
        self._zone = ZoneInfo("Europe/Vienna")

    def utcoffset(self, moment: datetime | None) -> timedelta | None:
        self.asked += 1
        return self._zone.utcoffset(moment)

    def dst(self, moment: datetime | None) -> timedelta | None:
        return self._zone.dst(moment)

    def tzname(self, moment: datetime | None) -> str | None:
        return self._zone.tzname(moment)

    def fromutc(self, moment: datetime) -> datetime:
        self.asked += 1
        return self._zone.fromutc(moment.replace(tzinfo=self._zone)).replace(tzinfo=self)


def one_by_one(event: CalendarEvent, after: float, until: float, zone: tzinfo) -> int:
    count = 0
    following = event.next(after, zone)
    while following is not None and following <= until:
        count += 1
        following = event.next(following, zone)
    return count


@given(
    spec=schedules(),
    zone=st.sampled_from(ZONES),
    after=st.floats(datetime(2010, 1, 1, tzinfo=UTC).timestamp(), datetime(2030, 1, 1, tzinfo=UTC).timestamp()),
    days=st.floats(-1, 45),
)
@settings(max_examples=200, deadline=None)
def test_the_count_is_that_of_one_slot_after_the_other(
    spec: NaiveEvent, zone: tzinfo, after: float, days: float
) -> None:
    event = CalendarEvent.parse(spec.text)
    until = after + days * 86400

    assert event.count(after, until, zone) == one_by_one(event, after, until, zone)


@pytest.mark.parametrize("zone", ZONES, ids=str)
@pytest.mark.parametrize("spec", ["*:20", "2:30", "*/30", "0:00", "mon 2:00", "*-12-30 3:00", "*:*:30", "*/7 UTC"])
def test_around_a_change_of_the_clock_the_count_is_that_of_one_slot_after_the_other(spec: str, zone: tzinfo) -> None:
    event = CalendarEvent.parse(spec)
    for change in ("2011-12-30T10:00", "2018-03-25T01:00", "2018-10-28T01:00", "2018-11-04T03:00", "2023-03-19T02:00"):
        at = datetime.fromisoformat(f"{change}+00:00").timestamp()
        for begin in (-30, -2, -1, -0.5, 0, 0.5, 1, 2, 25):
            after = at + begin * 3600

            assert event.count(after, after + 8 * 3600, zone) == one_by_one(event, after, after + 8 * 3600, zone)


def test_the_minutes_of_ten_years_are_counted_with_a_look_at_each_day() -> None:
    zone = CountingZone()
    start, end = (datetime(year, 6, 1, tzinfo=UTC).timestamp() for year in (2016, 2026))

    missed = missed_runs(CalendarEvent.parse("*/1"), zone, start, end)

    skipped = 10 * 60  # an hour of each autumn is shown twice, and counts once
    assert missed == (end - start) / 60 - 1 - skipped
    assert zone.asked < 15 * 3653


@pytest.mark.parametrize("spec", ["*/1", "*:*:00", "mon..fri *:0/5", "*-*-1..28 *:0/2"])
def test_a_schedule_of_minutes_costs_no_more_than_one_of_days(spec: str) -> None:
    often, daily = CountingZone(), CountingZone()
    start = datetime(2026, 1, 1, tzinfo=UTC).timestamp()

    CalendarEvent.parse(spec).count(start, start + 300 * 86400, often)
    CalendarEvent.parse("3:00").count(start, start + 300 * 86400, daily)

    assert often.asked < 8 * daily.asked
