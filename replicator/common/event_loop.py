"""The event loop of a daemon on a host at its limits: nothing that it needs later has to be started then.

A thread that cannot be started may hold up the loop without an end (seen on Python 3.11 without memory), so all are
started at the beginning, and none is needed to wait for a child, or to end. Connections that nobody can accept are
reported in a sentence.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

THREADS = 12
"""Threads for calls that block: state.db, files, messages that are sent."""
REPORT_SECONDS = 60.0
"""Seconds between two lines about connections that nobody can accept."""
ONE_BY_ONE = 1
"""The ``backlog`` for asyncio's servers: how often it tries to accept in a row, which without descriptors fails each
time, with a traceback. The sockets themselves listen with another one."""

_START_SECONDS = 60.0
_log = logging.getLogger("zsr.daemon")


def run(work: Coroutine[Any, Any, None]) -> None:
    """Do a daemon's work, as `asyncio.run` does."""
    with asyncio.Runner(loop_factory=DaemonLoop) as runner:
        runner.run(work)


class DaemonLoop(asyncio.SelectorEventLoop):
    """An event loop whose threads all run from the beginning."""

    def __init__(self) -> None:
        super().__init__()
        self._threads = started_threads()
        self._report_at = 0.0
        self.set_default_executor(self._threads)
        self.set_exception_handler(self._handle)
        if sys.version_info < (3, 12):  # later ones do so by themselves
            watcher = asyncio.PidfdChildWatcher()
            watcher.attach_loop(self)
            asyncio.set_child_watcher(watcher)

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - as asyncio
        """Let the threads end when their work is done; asyncio would start another one to wait for that."""
        del timeout
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _handle(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Report connections that cannot be accepted once a minute, all else as asyncio does."""
        error = context.get("exception")
        if not isinstance(error, OSError) or "accept" not in str(context.get("message")):
            loop.default_exception_handler(context)
        elif time.monotonic() >= self._report_at:
            self._report_at = time.monotonic() + REPORT_SECONDS
            _log.error("Nobody can connect to the daemon: %s. Raise its limit (LimitNOFILE).", error.strerror)


def started_threads() -> ThreadPoolExecutor:
    """Return a pool of threads that all run already."""
    pool = ThreadPoolExecutor(THREADS, thread_name_prefix="zsr")
    all_run = threading.Barrier(THREADS)
    wait([pool.submit(all_run.wait, _START_SECONDS) for _ in range(THREADS)])
    return pool
