"""Schedules in other forms: what they mean as calendar events, and when, which cron and a clock confirm."""

from __future__ import annotations

import pytest

from replicator.schedule.calendar import CalendarError, CalendarEvent
from replicator.schedule.mistaken import meant


@pytest.mark.parametrize(
    ("text", "event"),
    [
        ("5m", "*/5"),
        ("every 5 minutes", "*/5"),
        ("15min", "*/15"),
        ("2h", "*/2:00"),
        ("3am", "3:00"),
        ("12am", "0:00"),
        ("12pm", "12:00"),
        ("at 3:30 pm", "15:30"),
        ("0 3 * * *", "3:00"),
        ("*/5 * * * *", "*/5"),
        ("* * * * *", "*:*"),
        ("30 22 * * 1-5", "mon..fri 22:30"),
        ("0 */2 * * *", "*/2:00"),
        ("15 * * * 6,0", "sat,sun 15"),
    ],
)
def test_it_is_a_calendar_event(text: str, event: str) -> None:
    assert meant(text) == event
    CalendarEvent.parse(event)
    with pytest.raises(CalendarError, match="did you mean") as raised:
        CalendarEvent.parse(text)
    assert f"did you mean '{event}'?" in raised.value.what


@pytest.mark.parametrize("text", ["", "soon", "90m", "0m", "25h", "13pm", "0 3 1 * *", "0-30 3 * * *", "a b c d e"])
def test_what_is_not_known_is_left_alone(text: str) -> None:
    assert meant(text) is None
