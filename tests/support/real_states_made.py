"""All states that are produced on a real site."""

from __future__ import annotations

from tests.support.real_files import FILES
from tests.support.real_processes import PROCESSES
from tests.support.real_zfs import ZFS

MADE = (*FILES, *PROCESSES, *ZFS)
