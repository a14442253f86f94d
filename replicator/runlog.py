"""The log of a run on its way to ``state.db``: gathered in memory, written in batches by a thread."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from replicator.state import State

_FLUSH_EVERY = 1.0


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

    async def keep_flushing(self) -> None:
        """Write every second until cancelled, so that a killed run leaves its log."""
        while True:
            await asyncio.sleep(_FLUSH_EVERY)
            await self.flush()
