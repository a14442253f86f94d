"""Quiet hours: a daily window of local time, on some days of the week or all. Pure.

``22:00-07:00`` goes over midnight and belongs to the day on which it begins; ``mon..fri 22:00-07:00`` and
``sat,sun 00:00-24:00`` are on some days only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

ALLOWED = "a window like '22:00-07:00', 'mon..fri 22:00-07:00' or 'sat,sun 00:00-24:00'"

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WINDOW = re.compile(r"(?:(?P<days>[a-z.,]+)\s+)?(?P<begin>\d{1,2}:\d{2})\s*-\s*(?P<end>\d{1,2}:\d{2})", re.ASCII)
_DAY = 24 * 60


@dataclass(frozen=True, slots=True)
class Window:
    """Some minutes from a minute of the day on, on days of the week (0 is Monday). ``text`` is the setting."""

    text: str
    days: frozenset[int]
    begin: int
    minutes: int

    @classmethod
    def parse(cls, text: str) -> Window:
        """Parse a window; raises ValueError with the allowed forms."""
        match = _WINDOW.fullmatch(text.strip().lower())
        if match is None:
            raise ValueError(ALLOWED)
        begin, end = _minute(match["begin"]), _minute(match["end"])
        if begin in (_DAY, end):
            raise ValueError(ALLOWED)
        return cls(text.strip(), _days(match["days"]), begin, (end - begin) % _DAY or _DAY)

    def end(self, now: float, zone: tzinfo) -> float | None:
        """The end of the window that a moment (unix time) lies in; None if it lies in none.

        A window on consecutive days without a gap ends with the last of them, a week later at the most.
        """
        moment, last = now, None
        for _ in range(8):
            found = self._end(moment, zone)
            if found is None:
                break
            moment = last = found
        return last

    def _end(self, now: float, zone: tzinfo) -> float | None:
        local = datetime.fromtimestamp(now, zone)
        for back in (0, 1):
            day = (local - timedelta(days=back)).date()
            if day.weekday() not in self.days:
                continue
            midnight = datetime.combine(day, datetime.min.time(), zone)
            begin = (midnight + timedelta(minutes=self.begin)).timestamp()
            end = (midnight + timedelta(minutes=self.begin + self.minutes)).timestamp()
            if begin <= now < end:
                return end
        return None


def _minute(text: str) -> int:
    hour, minute = map(int, text.split(":"))
    if hour * 60 + minute > _DAY or minute > 59:
        raise ValueError(ALLOWED)
    return hour * 60 + minute


def _days(text: str | None) -> frozenset[int]:
    if text is None:
        return frozenset(range(7))
    found: set[int] = set()
    for part in text.split(","):
        first, dots, last = part.partition("..")
        if first not in _DAYS or (dots and last not in _DAYS):
            raise ValueError(ALLOWED)
        begin, end = _DAYS.index(first), _DAYS.index(last if dots else first)
        found |= {day % 7 for day in range(begin, end + 1 if begin <= end else end + 8)}
    return frozenset(found)
