"""Waits for a daemon under test to come to rest."""

from __future__ import annotations

import asyncio

from replicator.models import JobId
from tests.support.daemon_env import DaemonEnv, until

MINUTE = 60.0
JOB = JobId(100, 0)


async def at_rest(stage: DaemonEnv, starts: int) -> None:
    """Wait until so many runs have begun, and all have ended."""
    await until(lambda: len(stage.script.starts) >= starts and not stage.state.runs.unfinished())
    await stage.ask("reload")
    await asyncio.sleep(0.05)
    assert len(stage.script.starts) == starts
