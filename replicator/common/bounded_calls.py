"""Calls that may hang in the kernel, as on a mount whose server is gone: awaited for a limited time, one by one.

A call that hangs cannot be ended, so it has a thread of its own that nothing waits for: neither the pool of threads
that everything else shares, nor the end of the process.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")
_Call = tuple[Callable[[], Any], Future[Any]]


class BoundedCalls:
    """Does calls for several threads. While one hangs, others fail at once; when it returns, all is as before."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._work: SimpleQueue[_Call | None] | None = None
        self._hanging: Future[Any] | None = None

    def call(self, function: Callable[[], T], limit: float) -> T:
        """Return what a function returns, or raise what it raises.

        Raises:
            TimeoutError: it has not returned within ``limit`` seconds, or one before it has not returned yet.
        """
        if not self._turn.acquire(timeout=limit):
            raise TimeoutError
        try:
            if self._hanging is not None and not self._hanging.done():
                raise TimeoutError
            self._hanging = None
            return self._do(function, limit)
        finally:
            self._turn.release()

    def _do(self, function: Callable[[], T], limit: float) -> T:
        if self._work is None:
            self._work = SimpleQueue()
            weakref.finalize(self, self._work.put, None)  # the thread ends with this object
            threading.Thread(target=_worker, args=(self._work,), name="zsr-bounded", daemon=True).start()
        call: Future[T] = Future()
        self._work.put((function, call))
        try:
            error = call.exception(limit)
        except TimeoutError:
            self._hanging = call
            raise
        if error is not None:
            raise error
        return call.result()


def _worker(work: SimpleQueue[_Call | None]) -> None:
    while (given := work.get()) is not None:
        function, call = given
        try:
            result = function()
        except BaseException as error:  # noqa: BLE001 - the caller's to judge
            call.set_exception(error)
        else:
            call.set_result(result)
            del result
        del given, function, call  # what they hold may be what this thread ends with
