"""The log of each run in ``state.db``, and the writer that gathers a run's lines and writes them in batches."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from replicator.common.tasks import finish_despite_cancel
from replicator.display import displayable, shortened
from replicator.errors import ZsrError
from replicator.state.database import Database

_FLUSH_INTERVAL_SECONDS = 1.0
LONGEST_LINE = 64 * 1024
"""Characters of one line of a run's log: it may be all that a command printed."""
MOST_LINES = 10_000
"""Lines that one run may log: what another node shows may be behind each of them."""
_log = logging.getLogger("zsr.state")


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of a run's log; ``level`` is info, warning, error or raw."""

    number: int
    time: float
    level: str
    text: str


@dataclass(frozen=True, slots=True)
class RunLogs:
    """Reads and writes the logs of runs."""

    database: Database

    def append(self, run: int, lines: Sequence[tuple[float, str, str]]) -> None:
        """Add lines (time, level, text) to a run's log; a run that was deleted with its job gets none."""
        with self.database.transaction() as db:
            if db.execute("SELECT 1 FROM runs WHERE id = ?", (run,)).fetchone() is None:
                return
            last = db.execute("SELECT coalesce(max(number), 0) FROM run_log WHERE run = ?", (run,)).fetchone()[0]
            db.executemany(
                "INSERT INTO run_log VALUES (?, ?, ?, ?, ?)",
                [(run, last + 1 + index, *line) for index, line in enumerate(lines)],
            )

    def lines(self, run: int, after: int = 0) -> list[LogLine]:
        """Return the lines of a run's log with a number above ``after``."""
        query = (
            "SELECT number, time, CAST(level AS BLOB), CAST(text AS BLOB) FROM run_log WHERE run = ? AND number > ? "
            "ORDER BY number"
        )
        rows = self.database.rows(query, run, after)
        return [LogLine(number, at, *(part.decode(errors="replace") for part in parts)) for number, at, *parts in rows]


class RunLogWriter:
    """Gathers the lines of one run and writes them in a thread. ``listen`` is called with each line at once."""

    def __init__(self, logs: RunLogs, run: int, listen: Callable[[str], None], clock: Callable[[], float]) -> None:
        self._logs = logs
        self._run = run
        self._listen = listen
        self._clock = clock
        self._lines: list[tuple[float, str, str]] = []
        self._added = 0

    def add(self, level: str, text: str) -> None:
        """Add one line; ``level`` is info, warning, error or raw. Only errors are added to a log that is full."""
        self._added += 1
        if self._added > MOST_LINES and level != "error":
            if self._added > MOST_LINES + 1:
                return
            level, text = "warning", f"this log has {MOST_LINES} lines; all others but errors are left out"
        now, text = self._clock(), shortened(displayable(text), LONGEST_LINE)
        self._lines.append((now, level, text))
        mark = "" if level == "info" else f"{level}: "
        self._listen(f"{time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(now))} {mark}{text}")

    async def flush(self) -> None:
        """Write the lines that were added since the last flush."""
        lines, self._lines = self._lines, []
        if lines:
            await asyncio.to_thread(self._logs.append, self._run, lines)

    @asynccontextmanager
    async def flushing(self) -> AsyncIterator[None]:
        """Flush every second while the body runs, so that a killed run leaves its log."""
        task = asyncio.create_task(self._keep_flushing())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def _keep_flushing(self) -> None:
        while True:
            await asyncio.sleep(_FLUSH_INTERVAL_SECONDS)
            try:
                # A cancel does not stop the thread, and the lines must stay in order.
                await finish_despite_cancel(self.flush())
            except ZsrError as error:
                _log.error("Could not write the log of a run: %s", error)
