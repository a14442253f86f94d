"""What plugins are given of the daemon: the picture of the moment, the journal as a feed, and their own notes."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Callable

from replicator.api.status import JobHistory, RunHistogram, Status
from replicator.events import Event
from replicator.models import JobId, Outcome
from replicator.state.plugin_store import SqlitePluginStore
from replicator.state.stores import State

_BOUNDS = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 86400.0, float("inf"))
_ASK_AGAIN_SECONDS = 5.0


class PluginHost:
    """The `replicator.api.plugin.Core` that plugins get. ``picture`` draws the status of the moment."""

    def __init__(self, state: State, picture: Callable[[], Status]) -> None:
        self._state = state
        self._picture = picture
        self._news = asyncio.Condition()

    def status(self) -> Status:
        """See `Core.status`."""
        return self._picture()

    async def events(self, after: int) -> list[tuple[int, Event]]:
        """See `Core.events`. Also asks by itself now and then: another process may write to the journal too."""
        while True:
            found = await asyncio.to_thread(self._state.journal.events, after)
            if found:
                return found
            async with self._news:
                try:
                    async with asyncio.timeout(_ASK_AGAIN_SECONDS):
                        await self._news.wait()
                except TimeoutError:
                    continue

    def last_event(self) -> int:
        """See `Core.last_event`."""
        return self._state.journal.last_event()

    def first_event(self) -> int:
        """See `Core.first_event`."""
        return self._state.journal.first_event()

    async def history(self, begin: float, end: float) -> dict[JobId, JobHistory]:
        """See `Core.history`."""
        return await asyncio.to_thread(self._state.runs.histories, begin, end)

    def memory(self, plugin: str) -> SqlitePluginStore:
        """See `Core.memory`."""
        return self._state.plugin_store(plugin)

    async def announce(self) -> None:
        """Wake whoever waits for events."""
        async with self._news:
            self._news.notify_all()


class RunDurations:
    """How long finished runs took, by outcome, since this process began."""

    def __init__(self) -> None:
        self._counts = {outcome: [0] * len(_BOUNDS) for outcome in Outcome}
        self._sums = dict.fromkeys(Outcome, 0.0)

    def observe(self, outcome: Outcome, seconds: float) -> None:
        """Count one finished run."""
        self._counts[outcome][bisect_left(_BOUNDS, seconds)] += 1
        self._sums[outcome] += seconds

    def histograms(self) -> dict[str, RunHistogram]:
        """The histograms as they are now, with cumulative counts."""
        return {str(outcome): self._histogram(outcome) for outcome in Outcome}

    def _histogram(self, outcome: Outcome) -> RunHistogram:
        total = 0
        buckets = []
        for bound, count in zip(_BOUNDS, self._counts[outcome], strict=True):
            total += count
            buckets.append((bound, total))
        return RunHistogram(tuple(buckets), self._sums[outcome], total)
