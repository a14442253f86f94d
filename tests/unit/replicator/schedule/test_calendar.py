"""Calendar events as specifications: what fires when, by known values and by brute force over all minutes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replicator.schedule.calendar import CalendarEvent
from tests.support.calendar_specs import NaiveEvent, naive_events, schedules

VIENNA = ZoneInfo("Europe/Vienna")
NEW_YORK = ZoneInfo("America/New_York")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")
SAO_PAULO = ZoneInfo("America/Sao_Paulo")
ZONES = (ZoneInfo("UTC"), VIENNA, NEW_YORK, LORD_HOWE, SAO_PAULO)

CHANGES = [
    datetime(2018, 3, 25, 1, tzinfo=UTC),  # Vienna, forward
    datetime(2018, 10, 28, 1, tzinfo=UTC),  # Vienna, back
    datetime(2021, 3, 14, 7, tzinfo=UTC),  # New York, forward
    datetime(2021, 11, 7, 6, tzinfo=UTC),  # New York, back
    datetime(2021, 10, 2, 15, 30, tzinfo=UTC),  # Lord Howe, forward by half an hour
    datetime(2021, 4, 3, 15, tzinfo=UTC),  # Lord Howe, back by half an hour
    datetime(2018, 11, 4, 3, tzinfo=UTC),  # Sao Paulo, forward at midnight
    datetime(2018, 2, 18, 2, tzinfo=UTC),  # Sao Paulo, back at midnight
    datetime(2024, 2, 28, 23, tzinfo=UTC),  # a leap day, and no change
    datetime(2025, 12, 31, 23, tzinfo=UTC),
]


def local_next(spec: str, after: str, zone: ZoneInfo, count: int = 1) -> list[str]:
    """The next events after a local time, as local times with their offset from UTC."""
    moment: float = datetime.fromisoformat(after).replace(tzinfo=zone).timestamp()
    event = CalendarEvent.parse(spec)
    found = []
    for _ in range(count):
        following = event.next(moment, zone)
        if following is None:
            break
        found.append(datetime.fromtimestamp(following, zone).strftime("%Y-%m-%d %H:%M:%S %z"))
        moment = following
    return found


def utc_next(spec: str, after: str, count: int = 1) -> list[str]:
    return [text.removesuffix(" +0000") for text in local_next(spec, after, ZoneInfo("UTC"), count)]


moments = st.builds(
    lambda change, minutes, seconds: int((change + timedelta(minutes=minutes)).timestamp()) + seconds,
    st.sampled_from(CHANGES),
    st.integers(-36 * 60, 36 * 60),
    st.sampled_from([0, 0, 1, 59, -1]),
)


@given(spec=schedules(), zone=st.sampled_from(ZONES), after=moments)
@settings(max_examples=250, deadline=None)
def test_next_is_the_least_moment_that_matches(spec: NaiveEvent, zone: ZoneInfo, after: int) -> None:
    until = after + 2 * 86400

    following = CalendarEvent.parse(spec.text).next(after, zone)

    naive = naive_events(spec, after, until, zone)
    assert (following if following is not None and following <= until else None) == (naive[0] if naive else None)


@given(spec=schedules(), zone=st.sampled_from(ZONES), after=moments)
@settings(max_examples=100, deadline=None)
def test_stepping_with_next_visits_all_moments_that_match(spec: NaiveEvent, zone: ZoneInfo, after: int) -> None:
    event = CalendarEvent.parse(spec.text)
    until = after + 86400
    visited = []
    moment = event.next(after, zone)
    while moment is not None and moment <= until:
        visited.append(moment)
        moment = event.next(moment, zone)

    assert visited == naive_events(spec, after, until, zone)


@given(spec=schedules(), zone=st.sampled_from((UTC, *ZONES)), after=moments, span=st.integers(0, 100_000))
@settings(max_examples=150, deadline=None)
def test_count_is_the_number_of_steps_with_next(spec: NaiveEvent, zone: ZoneInfo, after: int, span: int) -> None:
    event = CalendarEvent.parse(spec.text)
    steps = 0
    moment = event.next(after, zone)
    while moment is not None and moment <= after + span:
        steps += 1
        moment = event.next(moment, zone)

    assert event.count(after, after + span, zone) == steps


@given(spec=schedules(dates=False))
@settings(max_examples=60, deadline=None)
def test_the_longest_gap_is_that_between_events_in_utc(spec: NaiveEvent) -> None:
    event = CalendarEvent.parse(spec.text)
    midnight = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())
    moments = [midnight - 1]
    while (following := event.next(moments[-1], UTC)) is not None and following < midnight + 15 * 86400:
        moments.append(following)

    assert event.longest_gap(midnight - 1) == max(later - earlier for earlier, later in pairwise(moments[1:]))


@pytest.mark.parametrize(
    ("spec", "days"),
    [("*-*-1 3:00", 31), ("*-2-29", 8 * 365 + 1), ("*-1-1", 366), ("*-1,7-1", 184), ("fri *-*-13", 427)],
)
def test_the_longest_gap_between_dates_is_found_years_ahead(spec: str, days: int) -> None:
    after = datetime(2095, 6, 1, tzinfo=UTC).timestamp()

    assert CalendarEvent.parse(spec).longest_gap(after) == days * 86400


@pytest.mark.parametrize("spec", ["2020-1-1", "2027-1-1", "*-2-30"])
def test_there_is_no_longest_gap_without_two_events(spec: str) -> None:
    assert CalendarEvent.parse(spec).longest_gap(datetime(2026, 6, 1, tzinfo=UTC).timestamp()) is None


def test_an_event_that_has_just_fired_comes_only_at_its_next_time() -> None:
    assert CalendarEvent.parse("*/15").next(900, UTC) == 1800
    assert CalendarEvent.parse("*/15").next(899.5, UTC) == 900


@pytest.mark.parametrize(
    ("spec", "after", "following"),
    [
        ("22", "2026-01-01 22:30", ["2026-01-01 23:22:00", "2026-01-02 00:22:00"]),
        ("mon..fri 22", "2026-01-02 23:30", ["2026-01-05 00:22:00"]),
        ("8:30", "2026-01-01 08:30", ["2026-01-02 08:30:00"]),
        ("24:0", "2026-01-01 05:00", ["2026-01-01 05:24:00"]),
        ("30:10", "2026-01-01 05:00", ["2026-01-01 05:30:10"]),
        ("8:30:15", "2026-01-01 05:00", ["2026-01-01 08:30:15"]),
        ("fri..mon", "2026-01-01 05:00", ["2026-01-02 00:00:00", "2026-01-03 00:00:00", "2026-01-04 00:00:00",
                                          "2026-01-05 00:00:00", "2026-01-09 00:00:00"]),
        ("mon *-*-1..7", "2026-01-01 05:00", ["2026-01-05 00:00:00", "2026-02-02 00:00:00"]),
        ("5/0", "2026-01-01 05:05", ["2026-01-01 06:05:00"]),
        ("10..40/15", "2026-01-01 05:10", ["2026-01-01 05:25:00", "2026-01-01 05:40:00", "2026-01-01 06:10:00"]),
        ("mon*/15", "2026-01-05 05:10", ["2026-01-05 05:15:00"]),
        ("mon8:00", "2026-01-05 05:10", ["2026-01-05 08:00:00"]),
        ("WeDnesday 08:005", "2026-01-05 05:10", ["2026-01-07 08:05:00"]),
        ("*-0-1", "2026-01-05 05:10", []),
        ("*-1-0", "2026-01-05 05:10", []),
        ("*-2-30", "2026-01-05 05:10", []),
        ("2026-1-1", "2026-01-05 05:10", []),
        ("99-1-1", "2026-01-05 05:10", []),
        ("2199-12-31 23:59:59", "2026-01-05 05:10", ["2199-12-31 23:59:59"]),
        ("*-2-29", "2096-03-01", ["2104-02-29 00:00:00"]),
        ("", "2026-01-01 05:00", ["2026-01-02 00:00:00"]),
        ("  8:00  ", "2026-01-01 05:00", ["2026-01-01 08:00:00"]),
    ],
)  # fmt: skip
def test_the_peers_grammar_means_what_it_means_there(spec: str, after: str, following: list[str]) -> None:
    assert utc_next(spec, after, max(1, len(following))) == following


@pytest.mark.parametrize(
    ("keyword", "long"),
    [
        ("minutely", "*:*:0"), ("hourly", "*:0"), ("daily", "0:0"), ("weekly", "mon 0:0"), ("monthly", "*-*-1"),
        ("quarterly", "*-1,4,7,10-1"), ("semiannually", "*-1,7-1"), ("semi-annually", "*-1,7-1"),
        ("yearly", "*-1-1"), ("annually", "*-1-1"), ("daily UTC", "0:0UTC"),
    ],
)  # fmt: skip
def test_a_keyword_is_short_for_a_longer_event(keyword: str, long: str) -> None:
    after = "2026-02-03 04:05:06"

    assert local_next(keyword, after, VIENNA, 5) == local_next(long, after, VIENNA, 5)


@pytest.mark.parametrize(
    ("spec", "after", "following"),
    [
        ("*/45", "2026-01-01 00:45", ["2026-01-01 01:00:00", "2026-01-01 01:45:00"]),
        ("*/50", "2026-01-01 00:50", ["2026-01-01 01:00:00"]),
        ("*/7", "2026-01-01 00:56", ["2026-01-01 01:00:00", "2026-01-01 01:07:00"]),
        ("*/25", "2026-01-01 00:50", ["2026-01-01 01:00:00"]),
        ("*/5:0", "2026-01-01 20:00", ["2026-01-02 00:00:00"]),
        ("*-*-1/7", "2026-01-29 00:00", ["2026-02-01 00:00:00"]),
        ("*-*-6/19", "2027-12-31 00:00", ["2028-01-06 00:00:00"]),
        ("2/25", "2026-01-01 00:52", ["2026-01-01 01:02:00"]),
        ("3/10", "2026-01-01 00:53", ["2026-01-01 01:03:00"]),
    ],
)
def test_a_repetition_begins_again_at_the_start_of_its_range(spec: str, after: str, following: list[str]) -> None:
    assert utc_next(spec, after, len(following)) == following


@pytest.mark.parametrize(
    ("spec", "zone", "after", "following"),
    [
        # spring
        ("*/15", VIENNA, "2018-03-25 01:45", ["2018-03-25 03:00:00 +0200"]),
        ("2:30", VIENNA, "2018-03-25 00:00", ["2018-03-25 03:00:00 +0200", "2018-03-26 02:30:00 +0200"]),
        ("*:10", VIENNA, "2018-03-25 01:10", ["2018-03-25 03:10:00 +0200"]),
        ("2..3:30", VIENNA, "2018-03-25 00:00", ["2018-03-25 03:00:00 +0200", "2018-03-25 03:30:00 +0200"]),
        ("2..3:00", VIENNA, "2018-03-25 00:00", ["2018-03-25 03:00:00 +0200", "2018-03-26 02:00:00 +0200"]),
        ("daily", SAO_PAULO, "2018-11-03 12:00", ["2018-11-04 01:00:00 -0200", "2018-11-05 00:00:00 -0200"]),
        ("*/15", LORD_HOWE, "2021-10-03 01:45", ["2021-10-03 02:30:00 +1100", "2021-10-03 02:45:00 +1100"]),
        # autumn
        ("*/15", VIENNA, "2018-10-28 02:45", ["2018-10-28 03:00:00 +0100"]),
        ("2:30", VIENNA, "2018-10-28 00:00", ["2018-10-28 02:30:00 +0200", "2018-10-29 02:30:00 +0100"]),
        ("1:30", NEW_YORK, "2021-11-07 00:00", ["2021-11-07 01:30:00 -0400", "2021-11-08 01:30:00 -0500"]),
        ("*:0", VIENNA, "2018-10-28 01:30", ["2018-10-28 02:00:00 +0200", "2018-10-28 03:00:00 +0100"]),
        # the suffix
        ("2:30 UTC", VIENNA, "2018-03-25 00:00", ["2018-03-25 04:30:00 +0200"]),
        ("mon..fri", VIENNA, "2018-10-28 00:00", ["2018-10-29 00:00:00 +0100"]),
        ("mon..fri UTC", VIENNA, "2018-10-28 00:00", ["2018-10-29 01:00:00 +0100"]),
    ],
)
def test_daylight_saving_neither_loses_nor_repeats_a_run(
    spec: str, zone: ZoneInfo, after: str, following: list[str]
) -> None:
    assert local_next(spec, after, zone, len(following)) == following


def test_a_base_in_the_repeated_hour_waits_for_the_first_new_local_time() -> None:
    second_pass = datetime(2018, 10, 28, 2, 10, tzinfo=VIENNA, fold=1).timestamp()

    following = CalendarEvent.parse("*/15").next(second_pass, VIENNA)

    assert following == datetime(2018, 10, 28, 3, 0, tzinfo=VIENNA).timestamp()


@pytest.mark.parametrize("zone", ["Pacific/Apia", "America/New_York", "Africa/Monrovia", "Antarctica/Troll"])
def test_zones_with_odd_pasts_are_stepped_through_without_going_back(zone: str) -> None:
    its = ZoneInfo(zone)
    for start in (
        datetime(1883, 11, 17, tzinfo=UTC),
        datetime(1972, 1, 6, tzinfo=UTC),
        datetime(2011, 12, 29, tzinfo=UTC),
    ):
        moment: float = start.timestamp()
        for _ in range(60):
            following = CalendarEvent.parse("*:0").next(moment, its)
            assert following is not None
            assert moment < following <= moment + 2 * 86400
            moment = following


def test_events_of_the_same_text_are_equal() -> None:
    assert CalendarEvent.parse("*/15") == CalendarEvent.parse(" */15 ")
    assert CalendarEvent.parse("*/15") != CalendarEvent.parse("*/16")
