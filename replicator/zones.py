"""Time zones by name, and the machine's own."""

from __future__ import annotations

import os
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError


def zone(name: str) -> ZoneInfo:
    """The zone of a name like ``Europe/Vienna``; raises ValueError if there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"'{name}' is no time zone; write one like 'Europe/Vienna' or 'UTC'") from None


def local_zone() -> ZoneInfo:
    """The machine's zone: ``$TZ``, else what ``/etc/localtime`` points to, else UTC."""
    named = os.environ.get("TZ", "").removeprefix(":")
    if named:
        return zone(named)
    link = Path("/etc/localtime").resolve()
    name = str(link).rpartition("zoneinfo/")[2]
    try:
        return zone(name)
    except ValueError:
        return ZoneInfo("UTC")
