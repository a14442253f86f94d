"""Rates by weekday and hour, as ``10 mon..fri 8..18``: the limit of a node's line at a moment. Pure.

A rate is in MB/s of 10^6 bytes. Of several rules the first that holds at the moment counts; if none does, there is no
limit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from replicator.errors import ConfigError
from replicator.models import RATE_UNIT

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
ALLOWED = "a rate in MB/s of at least 1, then if wanted weekdays and hours, as '10 mon..fri 8..18'"


@dataclass(frozen=True, slots=True)
class RateRule:
    """A rate in bytes per second, and the weekdays (0 is Monday) and hours in which it holds."""

    rate: float
    days: frozenset[int] = frozenset(range(7))
    hours: frozenset[int] = frozenset(range(24))

    def holds(self, moment: datetime) -> bool:
        """Return whether it holds at a local time."""
        return moment.weekday() in self.days and moment.hour in self.hours


def parse_rate(text: str) -> RateRule:
    """Read one rule.

    Raises:
        ConfigError: it is none; the sentence says what is allowed.
    """
    words = text.lower().split()
    try:
        rate = float(words[0])
        days = [word for word in words[1:] if word[0].isalpha()]
        hours = [word for word in words[1:] if word[0].isdigit()]
        if not 1 <= rate < float("inf") or len(days) > 1 or len(hours) > 1 or len(words) != 1 + len(days) + len(hours):
            _refuse()
        rule = RateRule(rate * RATE_UNIT)
        return RateRule(
            rule.rate,
            _ranges(days[0], _day, 7, last_counts=True) if days else rule.days,
            _ranges(hours[0], _hour, 24, last_counts=False) if hours else rule.hours,
        )
    except (ValueError, IndexError):
        raise ConfigError(f"wrong rate '{text}': expected {ALLOWED}") from None


def rate_at(rules: Iterable[RateRule], moment: datetime) -> float | None:
    """Return the limit at a local time, in bytes per second; None: there is none."""
    return next((rule.rate for rule in rules if rule.holds(moment)), None)


def parse_rates(texts: Sequence[str]) -> tuple[RateRule, ...]:
    """Read rules; raises ConfigError as `parse_rate`."""
    return tuple(parse_rate(text) for text in texts)


def _ranges(text: str, read: Callable[[str], int], size: int, *, last_counts: bool) -> frozenset[int]:
    """Read a list of values and ranges, which may wrap: ``fri..mon``, ``22..6``."""
    found: set[int] = set()
    for part in text.split(","):
        first, dots, last = part.partition("..")
        begin = read(first) % size
        if not dots:
            found.add(begin)
            continue
        count = (read(last) - begin) % size + (1 if last_counts else 0)
        found |= {(begin + step) % size for step in range(count or size)}
    return frozenset(found)


def _day(text: str) -> int:
    return _DAYS.index(text[:3]) if text in _NAMES else _refuse()


def _hour(text: str) -> int:
    return int(text) if text.isdigit() and int(text) <= 24 else _refuse()


def _refuse() -> int:
    raise ValueError


_NAMES = {*_DAYS, "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"}
