"""The notify plugin at work on a fake core, and the events that it is given."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from alerts.channels.smtp import Waits
from alerts.plugin import AlertsPlugin
from replicator.errors import ErrorClass
from replicator.events import RunFailed, RunSucceeded
from replicator.models import JobId
from tests.support import statuses
from tests.support.notify_clock import TestClock, WatchedMemory

JOB = JobId(100, 0)


HALF_HOUR = 1800.0
HURRIED = Waits(*[2.0] * 7)
"""Seconds that a mail server gets for each step."""


def failed(consecutive: int, time: float = statuses.NOW, job: JobId = JOB) -> RunFailed:
    return RunFailed(
        time=time,
        job=job,
        run=consecutive,
        error_class=ErrorClass.NETWORK,
        message="Node beta does not answer on port 22.",
        advice="Check that the node is up.",
        consecutive=consecutive,
        failing_since=statuses.NOW - 4500,
        last_sync=statuses.NOW - 5400,
        next_run=time + HALF_HOUR,
    )


def recovered(time: float, after: int, job: JobId = JOB) -> RunSucceeded:
    return RunSucceeded(time, job, 99, time - 20, 20.0, 1000, recovered_after=after, failing_since=statuses.NOW - 4500)


def failing_core() -> statuses.FakeCore:
    """A core with one failing job, whose plugin store can be watched."""
    core = statuses.FakeCore()
    core.set_status(statuses.failing())
    core.memories["notify"] = WatchedMemory()
    return core


def target(port: int, name: str = "hook", extra: str = "") -> dict[str, object]:
    """The settings of a target whose URL is a webhook of apprise."""
    return {"name": name, "url": f"json://127.0.0.1:{port}/{name}{extra}"}


async def written(core: statuses.FakeCore, holds: Callable[[], bool]) -> None:
    """Wait until something holds; it is checked after each write to the plugin store."""
    memory = core.memories["notify"]
    assert isinstance(memory, WatchedMemory)
    async with asyncio.timeout(30):
        while not holds():
            memory.written.clear()
            await memory.written.wait()


@asynccontextmanager
async def running(
    core: statuses.FakeCore,
    clock: TestClock,
    *targets: dict[str, object],
    send_limit: float = 20.0,
    gather: float = 0.0,
) -> AsyncIterator[None]:
    """A plugin at work; left as a killed daemon leaves it, without a farewell."""
    plugin = AlertsPlugin(
        sleep=clock.sleep,
        clock=lambda: core.picture.time,
        send_limit=send_limit,
        waits=HURRIED,
        gather=gather,
        zone=ZoneInfo("UTC"),
    )
    sections = {"notify": list(targets)}
    assert plugin.check(sections) == []
    work = asyncio.create_task(plugin.run(core, sections))
    await asyncio.sleep(0.01)
    try:
        yield
    finally:
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work


async def settled(core: statuses.FakeCore, name: str = "hook") -> None:
    """Wait until a target is through with the journal."""
    memory = core.memories["notify"]
    assert isinstance(memory, WatchedMemory)
    async with asyncio.timeout(20):
        while not _through(json.loads(memory.get(f"target/{name}") or '{"cursor": -1}'), core.last_event()):
            memory.written.clear()
            await memory.written.wait()


def _through(notes: dict[str, Any], last: int) -> bool:
    """Whether a target's notes say that it has read up to an event, and sent all."""
    return notes["cursor"] >= last and not notes["entries"]


def counts(core: statuses.FakeCore) -> dict[str, dict[str, int]]:
    loaded: dict[str, dict[str, int]] = json.loads(core.memory("notify").get("counters") or "{}")
    return loaded
