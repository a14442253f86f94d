"""Pump between two pipes: moves bytes without copying them through Python, counts them, limits their rate.

`os.splice` moves pages from one pipe to the other inside the kernel; a thread drives it, so the event loop stays
free. Where splice does not work (descriptors that are no pipes, an old kernel) the pump copies the bytes.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import select
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

PIPE_SIZE = 1024 * 1024
"""Wanted size of the pipes, in bytes: Linux's default upper limit for everybody (pipe(7))."""

WAKE_UP_BYTES = PIPE_SIZE // 2
"""Bytes that are worth a wake-up; after moving fewer, the pump rests until this many are likely to be there."""

_LONGEST_REST_SECONDS = 0.005
"""Upper bound of a rest; the pipes hold what more than 100 MB/s bring in that time."""

_BURST_SECONDS = 0.1
"""Seconds of the rate that may be sent at once."""

_LONGEST_WAIT_SECONDS = 0.5
"""Seconds; upper bound between two looks at the bucket."""


def sized_pipe() -> tuple[int, int]:
    """Return a pipe of `PIPE_SIZE` where the kernel grants it: (read end, write end)."""
    reader, writer = os.pipe()
    with contextlib.suppress(OSError):  # the default size works too, only slower
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, PIPE_SIZE)
    return reader, writer


class TokenBucket:
    """Grants bytes at a rate (bytes per second; None: no limit). Time is an argument, never read here."""

    def __init__(self, rate: float | None, now: float) -> None:
        self._rate = rate
        self._capacity = 0.0 if rate is None else max(rate * _BURST_SECONDS, 4096.0)
        self._tokens = 0.0
        self._at = now

    def grant(self, wanted: int, now: float) -> int:
        """Return how many of the wanted bytes may be sent now (0: wait)."""
        if self._rate is None:
            return wanted
        self._tokens = min(self._capacity, self._tokens + (now - self._at) * self._rate)
        self._at = now
        return min(wanted, int(self._tokens)) if self._tokens >= min(wanted, 4096, self._capacity) else 0

    def spend(self, count: int) -> None:
        """Subtract the bytes that were sent."""
        if self._rate is not None:
            self._tokens -= count

    def wait(self) -> float:
        """Return the seconds until the next `grant` makes sense."""
        return 0.0 if self._rate is None else min(_LONGEST_WAIT_SECONDS, max(0.001, (4096 - self._tokens) / self._rate))


class Line:
    """The line of a node, which all streams over it share: grants bytes at a rate that may change while they go on.

    Args:
        rate: returns the bytes per second at this moment (None: no limit); asked at most once a second.
        now: the time at which it begins.
    """

    def __init__(self, rate: Callable[[], float | None], now: float) -> None:
        self._ask = rate
        self._asked = now
        self._rate = rate()
        self._bucket = TokenBucket(self._rate, now)
        self._lock = threading.Lock()

    def grant(self, wanted: int, now: float) -> int:
        """See `TokenBucket.grant`."""
        with self._lock:
            if not 0 <= now - self._asked < 1.0:
                self._asked = now
                if (rate := self._ask()) != self._rate:
                    self._rate, self._bucket = rate, TokenBucket(rate, now)
            return self._bucket.grant(wanted, now)

    def spend(self, count: int) -> None:
        """See `TokenBucket.spend`."""
        with self._lock:
            self._bucket.spend(count)

    def wait(self) -> float:
        """See `TokenBucket.wait`."""
        with self._lock:
            return self._bucket.wait()


class Pace:
    """The rate of a stream, so that the pump need not wake up for each small piece."""

    def __init__(self, now: float) -> None:
        self._at = now
        self._rate = 0.0

    def note(self, count: int, now: float) -> None:
        """Note how many bytes came since the last call."""
        passed = max(now - self._at, 1e-6)
        self._at = now
        self._rate += (count / passed - self._rate) / 8

    def rest(self, count: int, now: float) -> float:
        """Note the bytes as `note`; return the seconds in which `WAKE_UP_BYTES` bytes are likely to come."""
        self.note(count, now)
        return min(_LONGEST_REST_SECONDS, WAKE_UP_BYTES / max(self._rate, 1.0))


class Pump:
    """Moves a stream from one pipe's read end to another's write end; owns and closes both descriptors.

    ``moved`` counts the bytes handed over so far, ``exhausted`` says that the source has ended and all of it was
    handed over; both may be read at any time.
    """

    def __init__(
        self,
        source: int,
        sink: int,
        *,
        rate: float | None,
        lines: Sequence[Line] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.moved = 0
        self.exhausted = False
        self._source = source
        self._sink = sink
        self._ends: tuple[int, ...] = (source, sink)
        self._buckets: tuple[TokenBucket | Line, ...] = (TokenBucket(rate, clock()), *lines)
        self._clock = clock
        self._stop = threading.Event()
        self._wake_reader, self._wake_writer = os.pipe()
        self._splice = hasattr(os, "splice")

    async def run(self) -> None:
        """Move bytes until the source ends or the sink goes away. When cancelled, it first waits for its thread to end.

        The pump has a thread of its own: a transfer may last for hours, and the event loop shares only a few threads.
        """
        thread = ThreadPoolExecutor(1, thread_name_prefix="zsr-pump")
        moving = asyncio.get_running_loop().run_in_executor(thread, self._move_and_close)
        thread.shutdown(wait=False)
        try:
            await asyncio.shield(moving)
        except asyncio.CancelledError:
            self._stop.set()
            os.write(self._wake_writer, b"x")
            while not moving.done():
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.shield(moving)
            raise

    def close(self) -> None:
        """Close what is still open; called when the pump has ended or will never be run."""
        for descriptor in (*self._ends, self._wake_reader, self._wake_writer):
            os.close(descriptor)
        self._ends = ()

    def _move_and_close(self) -> None:
        ends, self._ends = self._ends, ()
        try:
            self._move()
        finally:
            for descriptor in ends:
                os.close(descriptor)

    def _move(self) -> None:
        os.set_blocking(self._source, False)
        os.set_blocking(self._sink, False)
        readable = _poll(self._source, select.POLLIN, self._wake_reader)
        writable = _poll(self._sink, select.POLLOUT, self._wake_reader)
        pace = Pace(self._clock())
        while not self._stop.is_set():
            granted = PIPE_SIZE
            for bucket in self._buckets:
                if (granted := bucket.grant(granted, self._clock())) == 0:
                    select.select([self._wake_reader], [], [], bucket.wait())
                    break
            if granted == 0:
                continue
            try:
                count = self._hand_over(granted)
            except BlockingIOError:
                readable.poll()
                writable.poll()
                continue
            except BrokenPipeError:
                return  # the receiver went away; its exit status gives the reason
            if count == 0:
                self.exhausted = True
                return
            self.moved += count
            for bucket in self._buckets:
                bucket.spend(count)
            if count < WAKE_UP_BYTES:
                select.select([self._wake_reader], [], [], pace.rest(count, self._clock()))
            else:
                pace.note(count, self._clock())

    def _hand_over(self, granted: int) -> int:
        if self._splice:
            try:
                return os.splice(self._source, self._sink, granted, flags=os.SPLICE_F_NONBLOCK | os.SPLICE_F_MOVE)
            except OSError as error:
                if error.errno not in (errno.EINVAL, errno.ENOSYS):
                    raise
                self._splice = False
        return self._copy(granted)

    def _copy(self, granted: int) -> int:
        data = memoryview(os.read(self._source, min(granted, 256 * 1024)))
        done = 0
        while done < len(data) and not self._stop.is_set():
            try:
                done += os.write(self._sink, data[done:])
            except BlockingIOError:
                select.select([self._wake_reader], [self._sink], [])
        return done


def _poll(descriptor: int, event: int, wake: int) -> select.poll:
    poll = select.poll()
    poll.register(descriptor, event)
    poll.register(wake, select.POLLIN)
    return poll
