"""Structured concurrency: two coroutines at once, and work that a cancel does not break off."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Coroutine
from typing import Any, TypeVar

from replicator.errors import ZsrError

A = TypeVar("A")
B = TypeVar("B")


async def gather_two(first: Coroutine[Any, Any, A], second: Coroutine[Any, Any, B]) -> tuple[A, B]:
    """Await both at the same time; the first error cancels the other and is raised as it is."""
    try:
        async with asyncio.TaskGroup() as group:
            one = group.create_task(first)
            two = group.create_task(second)
    except BaseExceptionGroup as errors:
        raise first_exception(errors) from None
    return one.result(), two.result()


async def result_or_error(work: Coroutine[Any, Any, A]) -> A | ZsrError:
    """Return the result of some work, or its ZsrError: for work whose error must not cancel other work."""
    try:
        return await work
    except ZsrError as error:
        return error


async def finish_despite_cancel(work: Awaitable[A]) -> A:
    """Await work to its end even if this task is cancelled meanwhile, once or often; the cancel is raised afterwards.

    For the few steps that must not be left half done, like recording how a run ended.
    """
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    result = task.result()
    if cancelled is not None:
        raise cancelled
    return result


def first_exception(error: BaseException) -> BaseException:
    """Return the first error that is not a group."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


async def until_stopped(work: Coroutine[Any, Any, A]) -> A:
    """Await work in the foreground; SIGTERM, SIGHUP and Ctrl-C, once or often, cancel it, and its cleanup is completed.

    Raises:
        CancelledError: it was cancelled.
    """
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, task.cancel)
    return await task
