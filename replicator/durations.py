"""Lengths of time as people write them, ``15m`` or ``1d``, to seconds and back. Pure."""

from __future__ import annotations

import re

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])", re.ASCII)

ALLOWED = "a number of seconds, or text like '90s', '15m', '2h', '1d' or '1h30m'"


def parse_duration(value: object) -> float:
    """Seconds out of a number or of text like ``1h30m``; raises ValueError (saying what is allowed) otherwise."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf"):
        return float(value)
    if isinstance(value, str):
        text = value.strip().lower()
        if re.fullmatch(r"\d+(\.\d+)?", text, re.ASCII):
            return float(text)
        parts = _PART.findall(text)
        if parts and not _PART.sub("", text).strip():
            return float(sum(float(number) * _UNITS[unit] for number, unit in parts))
    raise ValueError(ALLOWED)


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
