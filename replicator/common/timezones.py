"""Time zones by name, and the machine's own."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_LOCALTIME = Path("/etc/localtime")


def zone(name: str) -> ZoneInfo:
    """Return the zone of a name like ``Europe/Vienna``; raises ValueError if there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"'{name}' is no time zone; write one like 'Europe/Vienna' or 'UTC'") from None


def local_zone() -> ZoneInfo:
    """Return the machine's zone: ``$TZ`` if it names one, else that of ``/etc/localtime``, else UTC."""
    names = (os.environ.get("TZ", "").removeprefix(":"), str(_LOCALTIME.resolve()).rpartition("zoneinfo/")[2])
    for name in names:
        with suppress(ValueError):  # $TZ may also hold a rule, like CET-1CEST, which names no zone
            return zone(name)
    with suppress(OSError, ValueError), _LOCALTIME.open("rb") as rules:  # a copy instead of a link: no name, but rules
        return ZoneInfo.from_file(rules, key="localtime")
    return ZoneInfo("UTC")
