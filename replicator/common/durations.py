"""Durations as people write them, ``15m`` or ``1d``, to seconds and back. Pure."""

from __future__ import annotations

import re

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])", re.ASCII)
_NUMBER = re.compile(r"\d+(?:\.\d+)?", re.ASCII)

LONGEST_SECONDS = 100 * 366 * 86400.0
"""The longest duration, in seconds; a longer one is a mistake."""

ALLOWED = "a number of seconds, or text like '90s', '15m', '2h', '1d' or '1h30m', at most 100 years"


def parse_duration(value: object) -> float:
    """Return the seconds of a number or of text like ``1h30m``; raises ValueError with the allowed forms otherwise."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= LONGEST_SECONDS:
        return float(value)
    if isinstance(value, str):
        text = value.strip().lower()
        parts = [(text, "s")] if _NUMBER.fullmatch(text) else _PART.findall(text)
        if parts and (_NUMBER.fullmatch(text) or not _PART.sub("", text).strip()):
            seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
            if seconds <= LONGEST_SECONDS:
                return seconds
    raise ValueError(ALLOWED)


def compact(seconds: float) -> str:
    """Return a duration as one word that `parse_duration` reads again, to the second: ``45s``, ``30m``, ``1h30m``."""
    rest = round(abs(seconds))
    parts = []
    for unit in ("d", "h", "m", "s"):
        count, rest = divmod(rest, _UNITS[unit])
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def words(seconds: float) -> str:
    """A length of time for people, with at most two units: ``37 s``, ``5 min``, ``2 h 5 min``, ``3 d 4 h``."""
    total = round(abs(seconds))
    steps = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
    for index, (unit, size) in enumerate(steps):
        count, rest = divmod(total, size)
        if count or unit == "s":
            smaller = steps[index + 1] if unit not in ("s", "min") and index + 1 < len(steps) else None
            more = f" {rest // smaller[1]} {smaller[0]}" if smaller and rest // smaller[1] else ""
            return f"{count} {unit}{more}"
    raise AssertionError("a length of time has a unit")
