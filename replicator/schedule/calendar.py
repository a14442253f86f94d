"""Calendar events: when a schedule fires next. Pure: it reads no clock and no local time zone.

The grammar is the peer's (Proxmox VE's calendar events, a dialect of systemd.time(7)); where its parser overshoots
(``*/7``, ``*/45``), an event fires at the range's start again, as with systemd. Daylight saving (contract: Time): a
fixed local time that does not exist fires at the first moment after the gap; a repeated local time fires once, at its
first occurrence. An hour that is skipped as a whole has no ``*:10``, so hourly schedules stay an hour apart.

Local time is computed as "wall seconds": the seconds from 1970 that a UTC clock with the same face would show.
"""

from __future__ import annotations

from bisect import bisect_left
from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

from replicator.schedule.grammar import CalendarError, Fields, parse_fields

__all__ = ["CalendarError", "CalendarEvent"]

_DAY = 86400
_EPOCH = date(1970, 1, 1).toordinal()
_FIRST_DAY = date(1, 1, 1).toordinal() - _EPOCH
_LAST_YEAR = 2199
_HORIZON_YEARS = 12
"""Years that `longest_gap` looks ahead: over the longest gap of leap days."""


@dataclass(frozen=True, slots=True)
class CalendarEvent:
    """A parsed schedule; equal to another one of the same text. Make it with `parse`."""

    spec: str
    utc: bool = field(compare=False, repr=False)
    _fields: Fields = field(compare=False, repr=False)

    @classmethod
    def parse(cls, spec: str) -> CalendarEvent:
        """Read a calendar event; white space around it does not count. The empty one fires daily at midnight.

        Raises:
            CalendarError: with the position of the offending character and the expected text.
        """
        return _parse(spec)

    @property
    def doubt(self) -> str | None:
        """A sentence about an event that is valid and hardly meant, with what to write instead; None of all others."""
        if not self.spec.removesuffix("UTC").strip():
            return "An empty schedule fires daily at midnight: write 'daily' for that, or leave it out for the default."
        if self._fields.no_hour:
            return (
                f"'{self.spec}' has no hour from 0 to 23, so it means a minute and a second of every hour: "
                f"midnight is '0:00', and such a minute is written with '*:' before it."
            )
        return None

    def next(self, after: float, zone: tzinfo) -> int | None:
        """Return the first event strictly after a unix time, in unix seconds; None if it never fires again."""
        first = int(after // 1) + 1
        if self.utc or _is_utc(zone):
            return self._next_wall(first)
        start = _wall(first - 1, zone)
        while (wall := self._next_wall(start)) is not None:
            moment = self._moment(wall, zone)
            if moment is not None and moment >= first:
                return moment
            start = wall + 1
        return None

    def count(self, after: float, until: float, zone: tzinfo) -> int:
        """Return how many events lie after ``after`` and not after ``until``, in a time that hardly grows with both.

        Where a zone's offset does not change, the wall seconds are counted by arithmetic; only around a change is one
        event sought after the other.
        """
        begin, end = int(after // 1), int(until // 1)
        if self.utc or _is_utc(zone):
            return max(0, self._count_wall(begin, end))
        total = 0
        for low, high in _changes_of_offset(begin, end, zone):
            shift = _wall(begin, zone) - begin
            total += self._count_wall(begin + shift, low + shift) + self._step_through(low, high, zone)
            begin = high
        shift = _wall(begin, zone) - begin
        return total + max(0, self._count_wall(begin + shift, end + shift))

    def _step_through(self, begin: int, end: int, zone: tzinfo) -> int:
        total = 0
        following = self.next(begin, zone)
        while following is not None and following <= end:
            total += 1
            following = self.next(following, zone)
        return total

    def _count_wall(self, after: int, until: int) -> int:
        """Return how many matching wall seconds lie after one and not after another."""
        (first, begin), (last, end) = divmod(after, _DAY), divmod(until, _DAY)
        if first > last or (first == last and begin >= end):
            return 0
        fields = self._fields
        total = self._count_days(first, last) * fields.count_times(_DAY - 1)
        total -= fields.count_times(begin) if self._next_day(first) == first else 0
        return total + (fields.count_times(end) if self._next_day(last) == last else 0)

    def _count_days(self, first: int, last: int) -> int:
        """Return how many days match from one on, up to but without another (days since 1970)."""
        first, last = max(first, _FIRST_DAY), min(last, _END_OF_TIME)
        weeks = max(0, last - first) // 7 if self._fields.every_date else 0
        total, day = weeks * len(self._fields.weekdays), first + 7 * weeks
        while (found := self._next_day(day)) is not None and found < last:
            total, day = total + 1, found + 1
        return total

    def longest_gap(self, after: float) -> float | None:
        """Return the longest time between two consecutive events, in seconds; None if fewer than two come.

        Daylight saving is left out: it would weaken the promise of ``*/15`` all year for one hour of one night.
        """
        first = self._next_wall(int(after // 1) + 1)
        if first is None:
            return None
        inner, opening, closing = self._fields.day_gaps()
        day, last_year = first // _DAY, date.fromordinal(first // _DAY + _EPOCH).year + _HORIZON_YEARS
        longest = float(inner) if inner else None
        week_later = day + 7
        while (following := self._next_day(day + 1)) is not None:
            longest = max(longest or 0.0, float((following - day) * _DAY - closing + opening))
            day = following
            if (
                self._fields.every_day
                or (self._fields.every_date and day >= week_later)
                or date.fromordinal(day + _EPOCH).year > last_year
            ):
                break
        return longest

    def _next_wall(self, start: int) -> int | None:
        """Return the first matching wall second at or after one."""
        day, second = divmod(start, _DAY)
        found = self._next_day(day)
        if found is None:
            return None
        if found == day:
            time = self._fields.next_time(second)
            if time is not None:
                return day * _DAY + time
            found = self._next_day(day + 1)
            if found is None:
                return None
        return found * _DAY + self._fields.first_time

    def _next_day(self, day: int) -> int | None:
        """Return the first matching day at or after one (days since 1970)."""
        fields = self._fields
        day = max(day, _FIRST_DAY)
        if fields.every_date:
            for candidate in range(day, day + 7):
                if (candidate + 3) % 7 in fields.weekdays:
                    return candidate if candidate < _END_OF_TIME else None
        return self._next_date(date.fromordinal(day + _EPOCH)) if day < _END_OF_TIME else None

    def _next_date(self, start: date) -> int | None:
        fields = self._fields
        for year in fields.years_from(start.year, _LAST_YEAR):
            first_month = start.month if year == start.year else 1
            for month in fields.months[bisect_left(fields.months, first_month) :]:
                if not 1 <= month <= 12:
                    continue
                first = start.day if (year, month) == (start.year, start.month) else 1
                for day in fields.days[bisect_left(fields.days, max(first, 1)) :]:
                    if day > monthrange(year, month)[1]:
                        break
                    ordinal = date(year, month, day).toordinal() - _EPOCH
                    if (ordinal + 3) % 7 in fields.weekdays:
                        return ordinal
        return None

    def _moment(self, wall: int, zone: tzinfo) -> int | None:
        """Return the unix time at which a clock in a zone shows a wall second first; None if it is skipped."""
        local = _FACE + timedelta(seconds=wall)
        before = local.replace(tzinfo=zone)
        offset = before.utcoffset() or timedelta()
        folded = before.replace(fold=1).utcoffset() or timedelta()
        moment = wall - _seconds(offset)
        if offset == folded or _wall(moment, zone) == wall:
            return moment
        jump = _jump(wall - _seconds(folded), moment, zone)
        if self._fields.every_hour and _hour_is_gone(wall, jump, zone):
            return None
        return jump


_FACE = datetime(1970, 1, 1)  # noqa: DTZ001 - a wall clock's face has no zone
_END_OF_TIME = date(_LAST_YEAR + 1, 1, 1).toordinal() - _EPOCH


@lru_cache(maxsize=4096)
def _parse(spec: str) -> CalendarEvent:
    fields, utc = parse_fields(spec)
    return CalendarEvent(spec.strip(), utc, fields)


def _is_utc(zone: tzinfo) -> bool:
    """Return whether a zone needs no arithmetic; UTC has two names, and ``ZoneInfo`` is the slow one."""
    return zone is UTC or (isinstance(zone, ZoneInfo) and zone.key == "UTC")


def _seconds(offset: timedelta) -> int:
    return offset.days * _DAY + offset.seconds


def _wall(moment: int, zone: tzinfo) -> int:
    """Return the wall seconds that a clock in a zone shows at a unix time."""
    if not _EARLIEST <= moment < _LATEST:
        return moment
    offset = _offset_of_quarter(moment // _QUARTER, zone)
    return moment + (_offset(moment, zone) if offset is None else offset)


def _offset(moment: int, zone: tzinfo) -> int:
    """Return the seconds by which a zone is ahead of UTC at a unix time."""
    offset = (_START + timedelta(0, moment)).astimezone(zone).utcoffset()
    return _seconds(offset) if offset is not None else 0


@lru_cache(maxsize=4096)
def _offset_of_quarter(quarter: int, zone: tzinfo) -> int | None:
    """Return the offset of a zone in a quarter of an hour (since 1970); None if it changes within."""
    begin = quarter * _QUARTER
    first = _offset(begin, zone)
    return first if first == _offset(begin + _QUARTER - 1, zone) else None


_QUARTER = 900
_START = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST = (_FIRST_DAY + 2) * _DAY
_LATEST = (_END_OF_TIME + 3000) * _DAY


def _jump(before: int, after: int, zone: tzinfo) -> int:
    """Return the moment of the jump between two unix times around it: the first second that has the new offset."""
    old = _wall(before, zone) - before
    low, high = before, after
    while high - low > 1:
        middle = (low + high) // 2
        if _wall(middle, zone) - middle == old:
            low = middle
        else:
            high = middle
    return high


def _changes_of_offset(begin: int, end: int, zone: tzinfo) -> Iterator[tuple[int, int]]:
    """Yield the stretches of a span of unix time in which a change of a zone's offset may move events.

    They are in order and do not overlap. Changes are sought a day apart: no zone takes one back sooner.
    """
    done, at = begin, begin - 2 * _DAY
    offset = _wall(at, zone) - at
    while at < end + 2 * _DAY:
        following = at + _DAY
        shifted = _wall(following, zone) - following
        if shifted != offset:
            jump, margin = _jump(at, following, zone), abs(shifted - offset) + 60
            low, high = max(done, jump - margin), min(end, jump + margin)
            if low < high:
                yield low, high
                done = high
        at, offset = following, shifted


def _hour_is_gone(wall: int, jump: int, zone: tzinfo) -> bool:
    """Return whether no second of a wall second's hour exists, the clock jumping at ``jump``."""
    hour = wall - wall % 3600
    return _wall(jump - 1, zone) < hour and _wall(jump, zone) >= hour + 3600
