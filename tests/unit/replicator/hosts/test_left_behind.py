"""Commands that were given up: one that is just being killed is waited for, one that hangs for good is not."""

from __future__ import annotations

import asyncio

import pytest

from replicator.errors import DeadlineError
from replicator.hosts.left_behind import DYING_SECONDS, LeftBehind

ARGV = ["zfs", "list", "tank"]


async def test_one_that_ends_a_moment_later_is_waited_for() -> None:
    ended = asyncio.Event()
    commands = LeftBehind("beta")
    commands.add(ARGV, ended.is_set)
    asyncio.get_running_loop().call_later(0.15, ended.set)
    await asyncio.wait_for(commands.refuse(ARGV), 5)


async def test_one_that_hangs_for_good_refuses_at_once() -> None:
    now = 0.0
    commands = LeftBehind("beta", lambda: now)
    commands.add(ARGV, lambda: False)
    now = DYING_SECONDS
    with pytest.raises(DeadlineError, match="has not ended"):
        await asyncio.wait_for(commands.refuse(ARGV), 0.5)
