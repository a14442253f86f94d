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
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from replicator.errors import ErrorClass
from replicator.events import RunFailed
from replicator.models import JobId
from replicator.state.stores import State
from tests.support import statuses
from tests.support.webhookserver import WebhookServer

KILLS = int(os.environ.get("ZSR_KILLS", "40"))
LONGEST_LIFE = 0.15
"""Seconds; a child needs about half of it to begin, decide, send and note."""
ROOT = Path(__file__).parents[2]


@dataclass
class Nursery:
    """Begins children that deliver, one at a time, and hears all that they say.

    One task reads: who waits for one line cannot swallow another. Nothing here is timed but by the test's own limit,
    since a killed child that writes to a busy disk is not gone before its write is.
    """

    process: asyncio.subprocess.Process
    said: list[str] = field(default_factory=list)
    news: asyncio.Condition = field(default_factory=asyncio.Condition)
    born_at: int = 0
    pid: int = 0
    ended: bool = False

    async def listen(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            await self._note(line.decode().strip())
        self.ended = True
        await self._note("the nursery ended")

    async def _note(self, line: str) -> None:
        async with self.news:
            self.said.append(line)
            self.news.notify_all()

    async def _hears(self, begin: str) -> str:
        """The first line with this beginning since the child was requested; fails if the child is gone."""

        def heard(begin: str) -> str | None:
            return next((line for line in self.said[self.born_at :] if line.startswith(begin)), None)

        def is_over() -> bool:
            return self.ended or (self.pid != 0 and heard(f"dead {self.pid} ") is not None)

        async with self.news:
            await self.news.wait_for(lambda: heard(begin) is not None or is_over())
        line = heard(begin)
        assert line is not None, f"nobody is left to say '{begin}': {self.said[-5:]}"
        return line

    @asynccontextmanager
    async def child(self) -> AsyncIterator[None]:
        assert self.process.stdin is not None
        self.born_at, self.pid = len(self.said), 0
        self.process.stdin.write(b"go\n")
        self.pid = int((await self._hears("born ")).split()[1])
        try:
            yield
        finally:
            with suppress(ProcessLookupError):  # it ended by itself, which is asserted below
                os.kill(self.pid, signal.SIGKILL)
            dead = await self._hears(f"dead {self.pid} ")
        assert dead.endswith(f" {-signal.SIGKILL}"), f"the child ended by itself: {dead}"

    async def notes(self, line: str) -> None:
        """Wait until the child says so."""
        await self._hears(f"noted {self.pid} {line}")


@asynccontextmanager
async def nursery_on(database: Path, port: int) -> AsyncIterator[Nursery]:
    command = (sys.executable, "-m", "tests.support.notify_child", str(database), str(port))
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, cwd=ROOT)
    nursery = Nursery(process)
    listening = asyncio.create_task(nursery.listen())
    try:
        yield nursery
    finally:
        process.kill()
        await process.wait()
        await listening


def fail(state: State, guest: int) -> int:
    """Let a run fail as the daemon writes it down; the number of its event."""
    job = JobId(guest, 0)
    run = state.runs.begin(job, statuses.NOW, owner="test", missed=0)
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
    state.runs.finish(event, start=statuses.NOW, sent_bytes=0)
    return state.journal.last_event()


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
