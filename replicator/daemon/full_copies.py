"""The lane of full copies: they run next to the other runs, one after the other (contract: Time).

A full copy may take hours. In the place of an ordinary run it would make all other jobs of the node late.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from replicator.models import JobId


class FullCopies:
    """Says which runs make a full copy, and lets one of them at a time go on.

    ``changed`` is called when there is one more.
    """

    def __init__(self, changed: Callable[[], None] = lambda: None) -> None:
        self._changed = changed
        self._turn = asyncio.Lock()
        self._jobs: set[JobId] = set()
        self._holder: JobId | None = None

    @property
    def jobs(self) -> frozenset[JobId]:
        """The jobs whose run makes a full copy or waits for its turn to make one."""
        return frozenset(self._jobs)

    async def begin(self, job: JobId) -> bool:
        """Wait for the turn of a job's run; return whether there was one to wait for. Twice in a run is no error."""
        if job in self._jobs:
            return False
        self._jobs.add(job)
        self._changed()
        waited = self._turn.locked()
        await self._turn.acquire()
        self._holder = job
        return waited

    def end(self, job: JobId) -> None:
        """Note that a job's run has ended, whether it made a full copy or not."""
        self._jobs.discard(job)
        if self._holder == job:
            self._holder = None
            self._turn.release()
