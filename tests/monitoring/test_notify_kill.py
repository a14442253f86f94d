"""A daemon that is killed between event and delivery: with a real process, a real ``state.db`` and SIGKILL."""

from __future__ import annotations

import asyncio
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

JOB = JobId(100, 0)
PATIENCE = 20.0
ROOT = Path(__file__).parents[2]


class Child:
    """The running process and what it says."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def says(self, line: str) -> None:
        assert self._process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            while (said := (await self._process.stdout.readline()).decode()) and said.strip() != line:
                pass
        assert said, f"the process ended before it said '{line}'"


@asynccontextmanager
async def killed_in_the_end(database: Path, port: int) -> AsyncIterator[Child]:
    command = (sys.executable, "-m", "tests.monitoring.notify_child", str(database), str(port))
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, cwd=ROOT)
    try:
        yield Child(process)
    finally:
        process.kill()
        await process.communicate()


@pytest.fixture
async def hooks() -> AsyncIterator[WebhookServer]:
    async with webhook_server() as server:
        yield server


def fail(state: State, consecutive: int) -> int:
    """Let a run fail as the daemon writes it down; the number of its event."""
    run = state.begin_run(JOB, statuses.NOW, owner="test", missed=0)
    event = RunFailed(
        time=statuses.NOW,
        job=JOB,
        run=run,
        error_class=ErrorClass.NETWORK,
        message="Node beta does not answer on port 22.",
        advice="Check that the node is up.",
        consecutive=consecutive,
        failing_since=statuses.NOW,
        last_sync=None,
        next_run=None,
    )
    state.finish_run(event, start=statuses.NOW, sent_bytes=0)
    return state.last_event()


async def test_each_event_arrives_once_however_often_the_daemon_is_killed_before_delivery(
    tmp_path: Path, hooks: WebhookServer
) -> None:
    database = tmp_path / "state.db"
    state = State.open(database)
    async with killed_in_the_end(database, hooks.port) as child:
        await child.says("noted 0 0")
    numbers = [fail(state, 1), fail(state, 2)]
    for _ in range(3):
        hooks.statuses = [500]
        async with killed_in_the_end(database, hooks.port) as child:
            await child.says("waiting")
    hooks.statuses = [200]
    for _ in range(2):
        async with killed_in_the_end(database, hooks.port) as child:
            await child.says(f"noted {numbers[-1]} 0")
    state.close()
    assert hooks.answers == [500, 500, 500, 200, 200]
    assert ["2nd time" in hook.json["message"] for hook in hooks.accepted] == [False, True]
