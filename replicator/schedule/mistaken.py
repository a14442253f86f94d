"""Finds the calendar event that a schedule in another form means: a duration, a clock time, a cron line. Pure."""

from __future__ import annotations

import re
from difflib import get_close_matches

_EVERY = re.compile(r"(?:every\s+)?(\d{1,2})\s*(m|min|mins|minutes?|h|hours?)", re.IGNORECASE)
_CLOCK = re.compile(r"(?:at\s+)?(\d{1,2})(?::(\d\d))?\s*(am|pm)", re.IGNORECASE)
_EVERY_DAY = re.compile(r"every\s+((?:sun|mon|tues|wednes|thurs|fri|satur)day)s?")
_MOMENTS = {"noon": "12:00", "midnight": "0:00", "every day": "daily", "every hour": "hourly", "every week": "weekly"}
_CRON = re.compile(r"(\S+)\s+(\S+)\s+(\S+)\s+(\S+)\s+(\S+)")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY = f"(?:{'|'.join(_DAYS)})"
_KEYWORDS = ("minutely", "hourly", "daily", "weekly", "monthly", "quarterly", "semiannually", "yearly")
_CRON_FIELD = re.compile(rf"[\d*/,-]+|{_DAY}(?:[,-]{_DAY})*", re.IGNORECASE)


def meant(spec: str) -> str | None:
    """Return the calendar event that a text in another form means; None if it is none that is known."""
    text = spec.strip()
    if match := _EVERY.fullmatch(text):
        number, unit = int(match[1]), match[2][0].lower()
        if unit == "m" and 1 <= number < 60:
            return f"*/{number}"
        return f"*/{number}:00" if unit == "h" and 1 <= number < 24 else None
    if match := _CLOCK.fullmatch(text):
        hour = int(match[1]) % 12 + (12 if match[3].lower() == "pm" else 0)
        return f"{hour}:{match[2] or '00'}" if int(match[1]) <= 12 else None
    return _of_words(text.lower()) or _of_cron(text)


def _of_words(text: str) -> str | None:
    """Return the event of a moment's name, of a weekday, or of a misspelt keyword."""
    if match := _EVERY_DAY.fullmatch(text):
        return match[1][:3]
    close = get_close_matches(text.removeprefix("@"), _KEYWORDS, n=1, cutoff=0.75)
    return _MOMENTS.get(text) or (close[0] if close else None)


def _of_cron(text: str) -> str | None:
    """Return the event of a crontab(5) line whose day and month are free."""
    match = _CRON.fullmatch(text)
    if match is None or not all(_CRON_FIELD.fullmatch(field) for field in match.groups()):
        return None
    minute, hour, day, month, weekday = match.groups()
    days = _weekdays(weekday)
    if (day, month) != ("*", "*") or days is None or "-" in minute + hour:
        return None
    if hour == "*":
        time = "*:*" if minute == "*" else minute
    else:
        time = f"{hour}:{minute.zfill(2) if minute.isdigit() else minute}"
    return f"{days} {time}".strip()


def _weekdays(field: str) -> str | None:
    """Return the weekdays of a cron field as calendar events have them; empty: all; None: not known."""
    if field == "*":
        return ""
    names = re.sub(r"[0-7]", lambda digit: _DAYS[int(digit[0])], field.lower())
    return names.replace("-", "..") if re.fullmatch(r"[a-z]{3}(?:[,-][a-z]{3})*", names) else None
