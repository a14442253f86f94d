"""Times, lengths and names as messages show them. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo

from replicator.common.durations import words

TITLE_SEEN = 60
"""Characters of a title that a phone's lock screen shows."""
LATE_AFTER_SECONDS = 300.0
"""Seconds between event and delivery from which on the message says that it comes late."""

_NAME_SHOWN = 18


def clock_time(moment: float, zone: tzinfo | None) -> str:
    """A time as people write it, ``2026-11-23 08:15:02``."""
    return datetime.fromtimestamp(moment, UTC).astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")


def distance(seconds: float) -> str:
    """The distance to a moment: ``37 minutes ago``, ``in 5 minutes``, ``now``."""
    if abs(seconds) < 1:
        return "now"
    return f"{duration(-seconds)} ago" if seconds < 0 else f"in {duration(seconds)}"


def duration(seconds: float) -> str:
    """A length of time in words, in its two largest units: ``1 day 3 hours``, ``37 minutes``, ``20 seconds``."""
    return words(max(0.0, seconds), full=True)


def ordinal(number: int) -> str:
    """``1st``, ``2nd``, ``3rd``, ``11th``, ``21st``."""
    suffix = "th" if number % 100 in {11, 12, 13} else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"


def one_line(text: str) -> str:
    """A text without line breaks and control characters, fit for a header."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def first_of(names: Sequence[str], most: int, where: str = "") -> str:
    """The first of some names, and how many more there are; ``where``: the command that shows those."""
    more = f" and {len(names) - most} more{where and f' ({where})'}" if len(names) > most else ""
    return ", ".join(map(one_line, names[:most])) + more


def shortened(node: str) -> str:
    """A name, cut so that the rest of a title stays visible."""
    return node if len(node) <= _NAME_SHOWN else f"{node[: _NAME_SHOWN - 1]}…"
