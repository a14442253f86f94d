"""A daemon that is killed between event and delivery: with real processes, a real ``state.db`` and SIGKILL.

``ZSR_KILLS=200`` kills so often; 40 is the default.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from replicator.errors import ErrorClass
from replicator.events import RunFailed
from replicator.jobs import JobId
from replicator.state import State
from tests import statuses
from tests.monitoring.webhookserver import WebhookServer, webhook_server

KILLS = int(os.environ.get("ZSR_KILLS", "40"))
LONGEST_LIFE = 0.15
"""Seconds; a child needs about half of it to begin, decide, send and note."""
PATIENCE = 60.0
"""Seconds; a killed child that writes to a busy disk is not gone before its write is."""
ROOT = Path(__file__).parents[2]


class Nursery:
    """Begins children that deliver, one at a time."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def _says(self, begin: str) -> str:
        assert self._process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            while (said := (await self._process.stdout.readline()).decode()) and not said.startswith(begin):
                pass
        assert said, f"the process ended before it said '{begin}'"
        return said.strip()

    @asynccontextmanager
    async def child(self) -> AsyncIterator[None]:
        assert self._process.stdin is not None
        self._process.stdin.write(b"go\n")
        pid = int((await self._says("child")).split()[1])
        try:
            yield
        finally:
            os.kill(pid, signal.SIGKILL)
            await self._says(f"dead {pid}")

    async def notes(self, line: str) -> None:
        """Wait until the child says so."""
        await self._says(f"noted {line}")


@asynccontextmanager
async def nursery_on(database: Path, port: int) -> AsyncIterator[Nursery]:
    command = (sys.executable, "-m", "tests.monitoring.notify_child", str(database), str(port))
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, cwd=ROOT)
    try:
        yield Nursery(process)
    finally:
        process.kill()
        await process.communicate()


@pytest.fixture
async def hooks() -> AsyncIterator[WebhookServer]:
    async with webhook_server() as server:
        yield server


def fail(state: State, guest: int) -> int:
    """Let a run fail as the daemon writes it down; the number of its event."""
    job = JobId(guest, 0)
    run = state.begin_run(job, statuses.NOW, owner="test", missed=0)
    event = RunFailed(
        time=statuses.NOW,
        job=job,
        run=run,
        error_class=ErrorClass.ZFS,
        message="cannot receive.",
        advice="Look.",
        consecutive=1,
        failing_since=statuses.NOW,
        last_sync=None,
        next_run=None,
    )
    state.finish_run(event, start=statuses.NOW, sent_bytes=0)
    return state.last_event()


@pytest.mark.timeout(600)
async def test_each_event_arrives_under_one_key_however_often_the_daemon_is_killed(
    tmp_path: Path, hooks: WebhookServer
) -> None:
    database = tmp_path / "state.db"
    state = State.open(database)
    guests = range(100, 100 + KILLS)
    lives = random.Random(5)
    async with nursery_on(database, hooks.port) as nursery:
        async with nursery.child():
            await nursery.notes("0 0")
        for guest in guests:
            last = fail(state, guest)
            async with nursery.child():
                await asyncio.sleep(lives.uniform(0.0, LONGEST_LIFE))
        async with nursery.child():
            await nursery.notes(f"{last} 0")
    state.close()

    keys: dict[int, set[str]] = {}
    for hook in hooks.seen:
        for guest in hook.json["guests"]:
            keys.setdefault(guest, set()).add(hook.json["key"])
    assert sorted(keys) == list(guests), "each event arrived"
    assert {len(found) for found in keys.values()} == {1}, "none arrived under two keys"


async def test_what_was_noted_as_delivered_is_not_sent_again(tmp_path: Path, hooks: WebhookServer) -> None:
    database = tmp_path / "state.db"
    state = State.open(database)
    async with nursery_on(database, hooks.port) as nursery:
        async with nursery.child():
            await nursery.notes("0 0")
        last = fail(state, 100)
        for _ in range(3):
            async with nursery.child():
                await nursery.notes(f"{last} 0")
    state.close()
    assert len(hooks.seen) == 1
