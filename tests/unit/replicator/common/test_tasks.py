"""Work that a cancel does not break off."""

from __future__ import annotations

import asyncio

import pytest

from replicator.common.tasks import finish_despite_cancel


async def test_a_cancel_is_raised_only_when_the_work_is_done() -> None:
    go, done = asyncio.Event(), []

    async def work() -> None:
        await go.wait()
        done.append(True)

    task = asyncio.ensure_future(finish_despite_cancel(work()))
    for _ in range(3):
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.sleep(0)
        assert not task.done()
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done == [True]


async def test_result_and_error_come_as_they_are() -> None:
    async def fail() -> None:
        raise LookupError

    assert await finish_despite_cancel(asyncio.sleep(0, "well")) == "well"
    with pytest.raises(LookupError):
        await finish_despite_cancel(fail())
