"""The lane of full copies: one has its turn at a time, and only its own end gives the turn to the next."""

from __future__ import annotations

import asyncio
import contextlib

from replicator.daemon.full_copies import FullCopies
from replicator.models import JobId

FIRST, SECOND, THIRD = JobId(100, 0), JobId(101, 0), JobId(102, 0)


async def asks(copies: FullCopies, job: JobId) -> asyncio.Task[bool]:
    """Let a job's run ask for its turn, until it waits or has it."""
    asked = asyncio.create_task(copies.begin(job))
    await asyncio.sleep(0)
    return asked


async def test_a_run_that_ends_while_it_waits_does_not_end_the_turn_of_another() -> None:
    copies = FullCopies()
    assert not await copies.begin(FIRST)
    second = await asks(copies, SECOND)
    second.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await second
    copies.end(SECOND)
    third = await asks(copies, THIRD)
    assert not third.done()
    assert copies.jobs == {FIRST, THIRD}

    copies.end(FIRST)
    assert await third


async def test_a_run_without_a_full_copy_does_not_end_the_turn_of_another() -> None:
    copies = FullCopies()
    await copies.begin(FIRST)
    copies.end(SECOND)

    assert not (await asks(copies, THIRD)).done()
