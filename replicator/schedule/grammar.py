"""Grammar of calendar events: parse text into sets of years, months, days, weekdays, hours, minutes, seconds. Pure.

Source: reference grammar of the peer's calendar events. A lone number is a minute of every hour; ``a:b`` is
hour:minute, or minute:second where ``a`` is no hour; a date is ``[year-]month-day``.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from replicator.errors import ConfigError
from replicator.schedule.mistaken import meant

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_NAMES = {name[:length]: number for number, name in enumerate(_DAYS) for length in (3, len(name))}
_KEYWORDS = {
    "minutely": "*:*:00",
    "hourly": "*:00:00",
    "daily": "00:00:00",
    "weekly": "mon 00:00:00",
    "monthly": "*-*-1 00:00:00",
    "quarterly": "*-1,4,7,10-1 00:00:00",
    "semiannually": "*-1,7-1 00:00:00",
    "semi-annually": "*-1,7-1 00:00:00",
    "yearly": "*-1-1 00:00:00",
    "annually": "*-1-1 00:00:00",
}


class CalendarError(ConfigError):
    """A wrong calendar event: ``position`` is the offset of the offending character in ``spec``."""

    def __init__(self, spec: str, position: int, allowed: str) -> None:
        guess = meant(spec)
        hint = f"; did you mean '{guess}'?" if guess else ""
        super().__init__(f"wrong calendar event '{spec}' at character {position + 1}: expected {allowed}{hint}")
        self.spec = spec
        self.position = position
        self.allowed = f"{allowed}{hint}"

    def with_caret(self) -> str:
        """Return the event with a caret under the offending character."""
        line = "".join(each if each.isprintable() else "?" for each in self.spec)
        return f"{line}\n{' ' * self.position}^ expected {self.allowed}"


@dataclass(frozen=True, slots=True)
class _Unit:
    """A part of a date or time: its name, the first value of ``*/n``, and one above the largest value."""

    name: str
    first: int
    limit: int
    article: str = "a"


_YEAR = _Unit("year", 0, 2200)
_MONTH = _Unit("month", 1, 13)
_DAY = _Unit("day", 1, 32)
_HOUR = _Unit("hour", 0, 24, "an")
_MINUTE = _Unit("minute", 0, 60)
_SECOND = _Unit("second", 0, 60)


class Fields:
    """The values at which an event fires, each sorted; ``years`` is None for every year.

    ``no_hour``: it has two numbers, and the first was read as a minute, since it is no hour.
    """

    __slots__ = (
        "_next_hour", "_next_minute", "_next_second", "days", "every_date", "every_day", "every_hour",
        "first_time", "hours", "minutes", "months", "no_hour", "seconds", "weekdays", "years",
    )  # fmt: skip

    def __init__(
        self,
        weekdays: frozenset[int],
        years: tuple[int, ...] | None,
        months: tuple[int, ...] | None,
        days: tuple[int, ...] | None,
        hours: tuple[int, ...] | None,
        minutes: tuple[int, ...] | None,
        seconds: tuple[int, ...] | None,
        *,
        no_hour: bool = False,
    ) -> None:
        self.no_hour = no_hour
        self.weekdays = weekdays
        self.every_date = years is None and months is None and days is None
        self.every_day = self.every_date and len(weekdays) == 7
        self.every_hour = hours is None
        self.years = years
        self.months = months if months is not None else tuple(range(1, 13))
        self.days = days if days is not None else tuple(range(1, 32))
        self.hours = hours if hours is not None else tuple(range(24))
        self.minutes = minutes if minutes is not None else tuple(range(60))
        self.seconds = seconds if seconds is not None else tuple(range(60))
        self._next_hour = _following(self.hours, 24)
        self._next_minute = _following(self.minutes, 60)
        self._next_second = _following(self.seconds, 60)
        self.first_time = self.hours[0] * 3600 + self.minutes[0] * 60 + self.seconds[0]

    def next_time(self, second: int) -> int | None:
        """Return the first matching second of the day at or after one; None if the day has no more."""
        hour, rest = divmod(second, 3600)
        found = self._next_hour[hour]
        if found == hour:
            minute, rest = divmod(rest, 60)
            in_hour = self._next_minute[minute]
            if in_hour == minute:
                in_minute = self._next_second[rest]
                if in_minute is not None:
                    return hour * 3600 + minute * 60 + in_minute
                in_hour = self._next_minute[minute + 1]
            if in_hour is not None:
                return hour * 3600 + in_hour * 60 + self.seconds[0]
            found = self._next_hour[hour + 1]
        return None if found is None else found * 3600 + self.minutes[0] * 60 + self.seconds[0]

    def count_times(self, second: int) -> int:
        """Return how many matching seconds of a day there are up to one, itself included."""
        hour, minute, rest = second // 3600, second // 60 % 60, second % 60
        hours, minutes = bisect_left(self.hours, hour), bisect_left(self.minutes, minute)
        total = hours * len(self.minutes) * len(self.seconds)
        if self._next_hour[hour] != hour:
            return total
        total += minutes * len(self.seconds)
        return total + (bisect_right(self.seconds, rest) if self._next_minute[minute] == minute else 0)

    def years_from(self, year: int, last: int) -> Iterable[int]:
        """Return the matching years from one on."""
        if self.years is None:
            return range(year, last + 1)
        return self.years[bisect_left(self.years, max(year, 1)) :]

    def day_gaps(self) -> tuple[int, int, int]:
        """Return the longest gap within a day (0 if it has only one event), the day's first event and its last."""
        in_minute = _gap(self.seconds)
        in_hour = max(in_minute, _gap(self.minutes) * 60 - (self.seconds[-1] - self.seconds[0]))
        if len(self.minutes) == 1:
            in_hour = in_minute
        span = (self.minutes[-1] - self.minutes[0]) * 60 + self.seconds[-1] - self.seconds[0]
        across = _gap(self.hours) * 3600 - span if len(self.hours) > 1 else 0
        last = self.hours[-1] * 3600 + self.minutes[-1] * 60 + self.seconds[-1]
        return max(in_hour, across), self.first_time, last


def _gap(values: tuple[int, ...]) -> int:
    return max((later - earlier for earlier, later in pairwise(values)), default=0)


def _following(values: tuple[int, ...], limit: int) -> tuple[int | None, ...]:
    """For each number up to the limit the first value at or after it."""
    return tuple(values[index] if (index := bisect_left(values, n)) < len(values) else None for n in range(limit + 1))


def parse_fields(spec: str) -> tuple[Fields, bool]:
    """Return the fields of an event, and whether it is in UTC; raises CalendarError."""
    text = spec.strip()
    lead = len(spec) - len(spec.lstrip())
    utc = text.endswith("UTC")
    body = text[:-3].rstrip(" \t") if utc else text
    keyword = _KEYWORDS.get(body)
    if keyword is not None:
        return _Parser(keyword, keyword, 0).parse(), utc
    return _Parser(spec, body, lead).parse(), utc


class _Parser:
    """Reads one body from left to right; ``lead`` is where it begins in the whole text."""

    def __init__(self, spec: str, body: str, lead: int) -> None:
        self._spec = spec
        self._text = body
        self._lead = lead
        self._at = 0
        self._no_hour = False

    def parse(self) -> Fields:
        weekdays = self._weekdays()
        years, months, days = self._date()
        if self._at < len(self._text):
            hours, minutes, seconds = self._time()
        else:
            hours, minutes, seconds = (0,), (0,), (0,)
        if self._at < len(self._text):
            raise self._wrong("the end, ' UTC' or another part")
        return Fields(weekdays, years, months, days, hours, minutes, seconds, no_hour=self._no_hour)

    def _wrong(self, allowed: str, at: int | None = None) -> CalendarError:
        return CalendarError(self._spec, self._lead + (self._at if at is None else at), allowed)

    def _take(self, sign: str) -> bool:
        if self._text.startswith(sign, self._at):
            self._at += len(sign)
            return True
        return False

    def _skip_blanks(self) -> None:
        while self._at < len(self._text) and self._text[self._at] in " \t":
            self._at += 1

    def _weekdays(self) -> frozenset[int]:
        if not self._text[self._at : self._at + 1].isalpha():
            return frozenset(range(7))
        days: set[int] = set()
        while True:
            first = self._weekday()
            last = self._weekday() if self._take("..") else first
            days |= {(first + step) % 7 for step in range((last - first) % 7 + 1)}
            if not self._take(","):
                break
        self._skip_blanks()
        return frozenset(days)

    def _weekday(self) -> int:
        match = re.compile(r"[A-Za-z]+").match(self._text, self._at)
        number = _NAMES.get(match[0].lower()) if match else None
        if match is None or number is None:
            raise self._wrong("a weekday like mon or monday, or a keyword like daily")
        self._at = match.end()
        return number

    def _date(self) -> tuple[tuple[int, ...] | None, tuple[int, ...] | None, tuple[int, ...] | None]:
        """Return the date if there is one: two or three lists with hyphens between."""
        parts = re.compile(r"[0-9*/.,]+-[0-9*/.,]+(-[0-9*/.,]*)?").match(self._text, self._at)
        if parts is None and "-" not in self._text[self._at :]:
            return None, None, None
        years = None
        if parts is not None and parts[1] is not None:
            years = self._list(_YEAR)
            self._expect("-")
        months = self._list(_MONTH)
        self._expect("-")
        days = self._list(_DAY)
        self._skip_blanks()
        return years, months, days

    def _expect(self, sign: str) -> None:
        if not self._take(sign):
            raise self._wrong(f"'{sign}'")

    def _time(self) -> tuple[tuple[int, ...] | None, tuple[int, ...] | None, tuple[int, ...] | None]:
        begin = self._at
        colons = self._text.count(":", begin)
        if colons == 0:
            return None, self._list(_MINUTE), (0,)
        try:
            hours = self._list(_HOUR)
        except CalendarError:
            if colons > 1:
                raise
            self._at, self._no_hour = begin, True
            minutes = self._list(_MINUTE)
            self._expect(":")
            return None, minutes, self._list(_SECOND)
        self._expect(":")
        minutes = self._list(_MINUTE)
        seconds = self._list(_SECOND) if self._take(":") else (0,)
        return hours, minutes, seconds

    def _list(self, unit: _Unit) -> tuple[int, ...] | None:
        """Return the values of a list, sorted; None for ``*``."""
        if self._take("*"):
            if not self._take("/"):
                return None
            at = self._at
            step = self._number(unit)
            if step == 0:
                raise self._wrong("a step above 0", at)
            return tuple(range(unit.first, unit.limit, step))
        values: set[int] = set()
        while True:
            values |= self._item(unit)
            if not self._take(","):
                return tuple(sorted(values))

    def _item(self, unit: _Unit) -> set[int]:
        at = self._at
        first = self._number(unit)
        last = None
        if self._take(".."):
            last = self._number(unit)
            if last < first:
                raise self._wrong(f"a range that goes up (it begins with {first})", at)
        if self._take("/"):
            step = self._number(unit)
            return set(range(first, (unit.limit - 1 if last is None else last) + 1, step)) if step else {first}
        return set(range(first, (first if last is None else last) + 1))

    def _number(self, unit: _Unit) -> int:
        match = re.compile(r"[0-9]+", re.ASCII).match(self._text, self._at)
        if match is None or len(match[0]) > 18 or int(match[0]) >= unit.limit:
            raise self._wrong(f"{unit.article} {unit.name} from {unit.first} to {unit.limit - 1}")
        self._at = match.end()
        return int(match[0])
