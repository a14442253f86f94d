"""The identity of a process and of a boot, so that a reused pid or a reboot is not mistaken for it."""

from __future__ import annotations

import os
from pathlib import Path

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
"""The file in which Linux identifies its boot."""


def boot_id() -> str:
    """Return what identifies the running kernel: it is new with each boot. Empty where the kernel has none."""
    try:
        return BOOT_ID.read_text().strip()
    except OSError:
        return ""


def this_process() -> str:
    """Return a name for this process: boot, pid and start time."""
    return _name(os.getpid()) or f"unknown:{os.getpid()}:0"


def is_alive(owner: str) -> bool:
    """Return whether the process of this name (see `this_process`) still lives."""
    parts = owner.split(":")
    return len(parts) == 3 and parts[1].isdigit() and _name(int(parts[1])) == owner


def _name(pid: int) -> str | None:
    boot = boot_id()
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if not boot or fields[0] == "Z" else f"{boot}:{pid}:{fields[19]}"
