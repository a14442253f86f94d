"""Reads again and again which replication jobs Proxmox VE has: where it replicates a guest too, that is reported."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from pathlib import Path

from replicator.api.pvesr_jobs import PvesrJobs
from replicator.cluster.replication_cfg import read_pvesr_jobs
from replicator.common.bounded_calls import BoundedCalls

_log = logging.getLogger("zsr.daemon")

INTERVAL_SECONDS = 60.0
TIMEOUT_SECONDS = 10.0
"""The cluster file system is a process of its own, which may hang."""


class PvesrWatch:
    """Holds the last result as ``jobs``; reading it starts nothing."""

    def __init__(self, path: Path) -> None:
        self.jobs = PvesrJobs(problem=f"'{path}' has not been read yet.")
        self._path = path
        self._calls = BoundedCalls()

    async def keep_reading(self) -> None:
        """Read the file once a minute, until cancelled."""
        while True:
            await self.read()
            await asyncio.sleep(INTERVAL_SECONDS)

    async def read(self) -> None:
        """Read the file now; a problem is logged once."""
        before = self.jobs.problem
        try:
            look = partial(read_pvesr_jobs, self._path)
            self.jobs = await asyncio.to_thread(self._calls.call, look, TIMEOUT_SECONDS)
        except TimeoutError:
            self.jobs = PvesrJobs(problem=f"'{self._path}' cannot be read: no answer within {TIMEOUT_SECONDS:g} s.")
        except Exception as error:  # noqa: BLE001 - a task's outermost frame: replication goes on without it
            self.jobs = PvesrJobs(problem=f"Unexpected {type(error).__name__} while '{self._path}' was read.")
        if self.jobs.problem is not None and self.jobs.problem != before:
            _log.warning("The replication jobs of Proxmox VE are not known: %s", self.jobs.problem)
