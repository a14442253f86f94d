"""Random calendar events with their meaning, written without the parser: sets of numbers, and a text that says them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from hypothesis import strategies as st

NAMES = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True)
class NaiveEvent:
    """A text, and the values that each part of the clock and the calendar may have; seconds are always 0."""

    text: str
    weekdays: frozenset[int]
    months: frozenset[int]
    days: frozenset[int]
    hours: frozenset[int]
    minutes: frozenset[int]
    any_hour: bool
    utc: bool

    def matches(self, face: datetime) -> bool:
        """Whether a clock that shows this makes the event fire."""
        return (
            face.second == 0
            and face.minute in self.minutes
            and face.hour in self.hours
            and face.weekday() in self.weekdays
            and face.day in self.days
            and face.month in self.months
        )


def naive_events(event: NaiveEvent, after: int, until: int, zone: tzinfo) -> list[int]:
    """All events in (after, until], found by looking at every minute's face."""
    zone = UTC if event.utc else zone
    seen: set[datetime] = set()
    found = []
    begin = after // 60 * 60 - 3 * 3600  # what was shown in the last hours is no first occurrence any more
    previous = _face(begin - 60, zone)
    for moment in range(begin, until + 1, 60):
        face = _face(moment, zone)
        skipped = [previous + timedelta(minutes=n) for n in range(1, int((face - previous).total_seconds() // 60))]
        shown_hours = {(shown.date(), shown.hour) for shown in (previous, face)}
        fires = face not in seen and event.matches(face)
        for gone in skipped:
            whole_hour_is_gone = (gone.date(), gone.hour) not in shown_hours
            fires = fires or (event.matches(gone) and not (event.any_hour and whole_hour_is_gone))
        seen.add(face)
        previous = face
        if fires and after < moment:
            found.append(moment)
    return found


def _face(moment: int, zone: tzinfo) -> datetime:
    return datetime.fromtimestamp(moment, zone).replace(tzinfo=None)


@st.composite
def schedules(draw: Any, dates: bool = True, explicit: bool = False) -> NaiveEvent:
    """Events out of the whole grammar but seconds and years; ``explicit``: always with hours and minutes."""
    weekday_text, weekdays = draw(_weekdays())
    month_text, months, day_text, days = "", range(1, 13), "", range(1, 32)
    if dates and draw(st.booleans()):
        month_text, months, _ = draw(_values(1, 12, 13))
        day_text, days, _ = draw(_values(1, 31, 32))
    form = "both" if explicit else draw(st.sampled_from(["both", "both", "minute", "none"]))
    hour_text, hours, any_hour = draw(_values(0, 23, 24)) if form == "both" else ("", range(24), True)
    minute_text, minutes, _ = draw(_values(0, 59, 60))
    date = f"{month_text}-{day_text}" if month_text else ""
    match form:
        case "both":
            time = f"{hour_text}:{minute_text}"
        case "minute":
            time = minute_text
        case _:
            time, hours, minutes, any_hour = "", range(1), range(1), False
    utc = draw(st.booleans()) if not explicit else False
    text = " ".join(part for part in (weekday_text, date, time, "UTC" if utc else "") if part)
    return NaiveEvent(
        text,
        frozenset(weekdays),
        frozenset(months),
        frozenset(days),
        frozenset(hours),
        frozenset(minutes),
        any_hour,
        utc,
    )


@st.composite
def _weekdays(draw: Any) -> tuple[str, set[int]]:
    ranges = draw(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=2))
    if not ranges:
        return "", set(range(7))
    parts, days = [], set()
    for first, last in ranges:
        parts.append(NAMES[first] if first == last else f"{NAMES[first]}..{NAMES[last]}")
        day = first
        days.add(day)
        while day != last:
            day = (day + 1) % 7
            days.add(day)
    return ",".join(parts), days


@st.composite
def _values(draw: Any, first: int, last: int, limit: int) -> tuple[str, set[int], bool]:
    """The text of a list, its values, and whether it is a plain star."""
    match draw(st.sampled_from(["star", "steps", "list", "list"])):
        case "star":
            return "*", set(range(first, last + 1)), True
        case "steps":
            step = draw(st.integers(1, limit - 1))
            return f"*/{step}", {value for value in range(first, last + 1) if (value - first) % step == 0}, False
    texts, values = [], set()
    for _ in range(draw(st.integers(1, 3))):
        low = draw(st.integers(first, last))
        high = draw(st.integers(low, last))
        step = draw(st.integers(1, limit - 1))
        match draw(st.sampled_from(["one", "range", "repeat", "range with step"])):
            case "one":
                texts.append(f"{low}")
                values.add(low)
            case "range":
                texts.append(f"{low}..{high}")
                values |= {value for value in range(first, last + 1) if low <= value <= high}
            case "repeat":
                texts.append(f"{low}/{step}")
                values |= {value for value in range(low, last + 1) if (value - low) % step == 0}
            case _:
                texts.append(f"{low}..{high}/{step}")
                values |= {value for value in range(low, high + 1) if (value - low) % step == 0}
    return ",".join(texts), values, False
