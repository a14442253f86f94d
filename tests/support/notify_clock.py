"""Clock and store of a plugin under test: waits end at once, and writes can be awaited."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

from tests.support import statuses


@dataclass
class WatchedMemory(statuses.FakeMemory):
    """A store that signals its writes."""

    written: asyncio.Event = field(default_factory=asyncio.Event)

    def put(self, key: str, value: str | None) -> None:
        super().put(key, value)
        self.written.set()


@dataclass
class TestClock:
    """Waits that a test sees and that end at once, or from the ``longest``-th on when ``go_on`` is set.

    The core's clock moves on by them.
    """

    __test__ = False

    core: statuses.FakeCore
    slept: list[float] = field(default_factory=list)
    longest: float = float("inf")
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        if len(self.slept) >= self.longest:
            self.reached.set()
            await self.go_on.wait()
            await asyncio.sleep(0.02)  # real time for the real thread that is on its way
        self.core.picture = replace(self.core.picture, time=self.core.picture.time + seconds)
        await asyncio.sleep(0)
