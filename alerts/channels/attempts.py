"""Runs one attempt at a time, in a thread of its own and within a time limit.

Not in asyncio's pool, whose threads the daemon would wait for at its end, and not in apprise's, which a few hanging
targets would fill for all the others.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from alerts.channels.base import SendStatus, Sent, failed_inside

REMEMBERED = 20
"""Notices that arrived after their attempt had been given up, and are remembered so that they are not sent again."""


class Attempts:
    """The attempts of one target. ``limit``: seconds that one may take.

    While an attempt hangs beyond its limit, no second one is started; if it succeeds after all, the same notice is not
    sent twice, also when another notice was tried in between.
    """

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._unfinished: tuple[str, asyncio.Future[Sent]] | None = None
        self._arrived: dict[str, Sent] = {}

    async def run(self, key: str, call: Callable[[], Sent]) -> Sent:
        """Run a blocking call for the notice with a key. Raises nothing but CancelledError."""
        if self._unfinished is not None:
            about, attempt = self._unfinished
            if not attempt.done():
                return Sent(SendStatus.TIMEOUT, "The attempt before still hangs.", 0.0)
            self._unfinished = None
            if attempt.result().ok:
                self._arrived[about] = attempt.result()
                while len(self._arrived) > REMEMBERED:
                    del self._arrived[next(iter(self._arrived))]
        if key in self._arrived:
            return self._arrived.pop(key)
        attempt = _in_thread(call)
        self._unfinished = (key, attempt)
        try:
            async with asyncio.timeout(self._limit):
                sent = await asyncio.shield(attempt)
        except TimeoutError:
            reason = f"The server did not answer within {self._limit:g} seconds; the message may still arrive."
            return Sent(SendStatus.TIMEOUT, reason, self._limit)
        self._unfinished = None
        return sent


def _in_thread(call: Callable[[], Sent]) -> asyncio.Future[Sent]:
    """Run a call in a daemon thread, which never keeps the process from ending."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Sent] = loop.create_future()

    def hand_over(sent: Sent) -> None:
        if not future.done():
            future.set_result(sent)

    def work() -> None:
        began = time.monotonic()
        try:
            sent = call()
        except Exception as error:  # noqa: BLE001 - a thread's outermost frame
            sent = failed_inside(error, time.monotonic() - began)
        with suppress(RuntimeError):  # the loop is closed: the result is not needed
            loop.call_soon_threadsafe(hand_over, sent)

    threading.Thread(target=work, name="zsr-notify", daemon=True).start()
    return future
