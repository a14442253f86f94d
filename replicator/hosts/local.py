"""Commands on this machine."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Sequence

from replicator.common.tasks import finish_despite_cancel
from replicator.errors import DeadlineError
from replicator.hosts.host import Completed, StderrTail, StreamProcess

KILL_TIMEOUT_SECONDS = 5.0
"""Seconds to wait for a killed process; one that hangs in the kernel longer than that is left behind."""

_SBIN = "/usr/local/sbin:/usr/sbin:/sbin"


def c_locale_environment() -> dict[str, str]:
    """Return the environment of zsr itself with the C locale and the folders of system tools on the path."""
    return {**os.environ, "LC_ALL": "C", "PATH": f"{os.environ.get('PATH', '/usr/bin:/bin')}:{_SBIN}"}


class LocalHost:
    """The machine zsr runs on. Each command is in a session of its own: a Ctrl-C at a terminal reaches only zsr."""

    def __init__(self, name: str) -> None:
        self._name = name

    @property
    def name(self) -> str:
        """The node's name."""
        return self._name

    @property
    def compression(self) -> str:
        """A local stream is never compressed."""
        return "none"

    async def run(self, argv: Sequence[str], *, limit: float, stdin: str = "") -> Completed:
        """See `Host.run`."""
        process = await start(argv, stdin=PIPE if stdin else DEVNULL, stdout=PIPE)
        try:
            async with asyncio.timeout(limit):
                stdout, stderr = await process.communicate(stdin.encode() or None)
        except TimeoutError:
            await end(process)
            raise DeadlineError(
                f"'{' '.join(argv[:3])}' on {self._name} did not end within {limit:.0f} s.", node=self._name
            ) from None
        except asyncio.CancelledError:
            await end(process)
            raise
        status = process.returncode if process.returncode is not None else -1
        return Completed(tuple(argv), status, stdout.decode(errors="replace"), stderr.decode(errors="replace"))

    async def start_source(self, argv: Sequence[str], stdout: int) -> StreamProcess:
        """See `Host.start_source`."""
        try:
            return LocalStreamProcess(argv, await start(argv, stdin=DEVNULL, stdout=stdout))
        finally:
            os.close(stdout)

    async def start_sink(self, argv: Sequence[str], stdin: int, *, expected_bytes: int | None) -> StreamProcess:
        """See `Host.start_sink`."""
        try:
            return LocalStreamProcess(argv, await start(argv, stdin=stdin, stdout=DEVNULL))
        finally:
            os.close(stdin)

    async def probe(self) -> None:
        """Do nothing: this machine always answers."""

    async def reach(self) -> None:
        """Do nothing: there is no connection."""

    async def close(self) -> None:
        """Do nothing: there is no connection."""


class LocalStreamProcess:
    """A child of ours at one end of a stream."""

    def __init__(self, argv: Sequence[str], process: Process) -> None:
        self._argv = tuple(argv)
        self._process = process

    async def wait(self) -> Completed:
        """See `StreamProcess.wait`."""
        assert self._process.stderr is not None  # noqa: S101 - it was started with a pipe
        tail = StderrTail()
        while data := await self._process.stderr.read(STDERR_CHUNK):
            tail.feed(data)
        status = await self._process.wait()
        return Completed(self._argv, status, "", tail.text())

    async def ended(self) -> None:
        """See `StreamProcess.ended`."""
        await self._process.wait()

    async def kill(self) -> None:
        """See `StreamProcess.kill`."""
        await end(self._process)


STDERR_CHUNK = 8192
"""Bytes read from a process's stderr at once."""


async def start(argv: Sequence[str], *, stdin: int, stdout: int) -> Process:
    """Start a child in a session of its own with its stderr on a pipe.

    A cancel waits until it is started, and ends it then: asyncio's own start, cancelled half-way, may never return
    (seen on Python 3.11).
    """
    starting = asyncio.create_task(
        asyncio.create_subprocess_exec(
            *argv, stdin=stdin, stdout=stdout, stderr=PIPE, env=c_locale_environment(), start_new_session=True
        )
    )
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        await finish_despite_cancel(_end_started(starting))
        raise


async def _end_started(starting: asyncio.Task[Process]) -> None:
    with contextlib.suppress(OSError):  # it could not be started at all
        await end(await starting)


async def end(process: Process) -> None:
    """Kill a child and everything in its session, and wait for it a little."""
    if process.returncode is not None:
        return
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    try:
        async with asyncio.timeout(KILL_TIMEOUT_SECONDS):
            await process.wait()
    except TimeoutError:
        return
