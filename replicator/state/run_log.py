"""The log of a run on its way to ``state.db``: gathered in memory, written in batches by a thread."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from replicator.common.tasks import finish_despite_cancel
from replicator.errors import ZsrError
from replicator.state.stores import State

_FLUSH_INTERVAL_SECONDS = 1.0
_log = logging.getLogger("zsr.state")


class RunLog:
    """Takes a run's lines as they come. ``listen`` is called with each line, for whoever looks on."""

    def __init__(self, state: State, run: int, listen: Callable[[str], None], clock: Callable[[], float]) -> None:
        self._state = state
        self._run = run
        self._listen = listen
        self._clock = clock
        self._lines: list[tuple[float, str, str]] = []

    def add(self, level: str, text: str) -> None:
        """Take one line; ``level`` is info, warning, error or raw."""
        now = self._clock()
        self._lines.append((now, level, text))
        mark = "" if level == "info" else f"{level}: "
        self._listen(f"{time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(now))} {mark}{text}")

    async def flush(self) -> None:
        """Write what has come since the last time."""
        lines, self._lines = self._lines, []
        if lines:
            await asyncio.to_thread(self._state.log, self._run, lines)

    @asynccontextmanager
    async def written_as_it_comes(self) -> AsyncIterator[None]:
        """Write every second while the body runs, so that a killed run leaves its log."""
        flushing = asyncio.create_task(self._keep_flushing())
        try:
            yield
        finally:
            flushing.cancel()
            await asyncio.wait([flushing])

    async def _keep_flushing(self) -> None:
        while True:
            await asyncio.sleep(_FLUSH_INTERVAL_SECONDS)
            try:
                await finish_despite_cancel(
                    self.flush()
                )  # in its thread it goes on anyway, and the lines shall stay in order
            except ZsrError as error:
                _log.error("a run's log could not be written: %s", error)
