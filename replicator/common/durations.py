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


def words(seconds: float, *, full: bool = False) -> str:
    """A length of time for people, in its two largest units: ``2 h 5 min``; ``full``: ``2 hours 5 minutes``.

    From two minutes on seconds are left out.
    """
    rest = round(abs(seconds))
    if rest >= 3600:
        rest = round(rest / 60) * 60
    elif rest >= 120:
        rest -= rest % 60
    parts = []
    for unit, name, size in (("d", "day", 86400), ("h", "hour", 3600), ("min", "minute", 60), ("s", "second", 1)):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count} {name}{'' if count == 1 else 's'}" if full else f"{count} {unit}")
    return " ".join(parts[:2]) or ("0 seconds" if full else "0 s")
