"""Texts that are no calendar event: each refusal points at the offending character and at what it expects."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicator.errors import ConfigError
from replicator.schedule.calendar import CalendarError, CalendarEvent


@pytest.mark.parametrize(
    ("spec", "position"),
    [
        ("x", 0),
        ("foo 8:00", 0),
        ("Daily", 0),  # keywords are in lower case,
        ("daily 8:00", 0),  # and the whole of it
        ("mon,", 4),
        ("mon..", 5),
        ("mon..xyz 8:00", 5),
        ("mon 8:00 utc", 8),
        ("mon ,8:00", 4),
        ("*/0", 2),
        ("*/60", 2),
        ("60", 0),
        ("060", 0),
        ("*,5", 1),
        ("5,*", 2),
        ("*/5,7", 3),
        ("5..3", 0),
        ("5..", 3),
        ("5,,7", 2),
        ("5, 7", 2),
        ("1.5", 1),
        ("8:", 2),
        (":5", 0),
        ("23:60", 3),
        ("25:60", 3),
        ("8:00:60", 5),
        ("8:00:00.5", 7),
        ("24:00:00", 0),
        ("1:2:3:4", 5),
        ("8:00 9:00", 4),
        ("*-13-1", 2),
        ("*-1-32", 4),
        ("2200-1-1", 0),
        ("*-1-", 4),
        ("-1-1", 0),
        ("2026-1-1T8:00", 8),
        ("*/15  x", 4),
        ("  */15x", 6),
        ("@daily", 0),
        ("*/99999999999999999999", 2),
        ("*/٣", 2),
    ],
)
def test_a_refusal_points_at_the_offending_character(spec: str, position: int) -> None:
    with pytest.raises(CalendarError) as refused:
        CalendarEvent.parse(spec)

    assert refused.value.position == position
    assert refused.value.with_caret().splitlines()[1].index("^") == position


@pytest.mark.parametrize(
    ("spec", "allowed"),
    [
        ("60", "a minute from 0 to 59"),
        ("24:00:00", "an hour from 0 to 23"),
        ("*-13-1", "a month from 1 to 12"),
        ("*/0", "a step above 0"),
        ("5..3", "a range that goes up (it begins with 5)"),
        ("foo", "a weekday like mon or monday, or a keyword like daily"),
    ],
)
def test_a_refusal_names_what_it_expects(spec: str, allowed: str) -> None:
    with pytest.raises(CalendarError) as refused:
        CalendarEvent.parse(spec)

    assert refused.value.allowed == allowed
    assert f"'{spec}'" in str(refused.value)


def test_a_wrong_event_is_a_wrong_setting() -> None:
    with pytest.raises(ConfigError):
        CalendarEvent.parse("*/0")


@given(st.text(alphabet="0123456789*/.,:- UTCmonfrid\té", max_size=20))
def test_any_text_is_an_event_or_is_refused_within_itself(spec: str) -> None:
    assert -1 <= refused_at(spec) <= len(spec)


def refused_at(spec: str) -> int:
    """The position of the offending character; -1 if it is an event."""
    try:
        CalendarEvent.parse(spec)
    except CalendarError as error:
        return error.position
    return -1
