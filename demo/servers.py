"""A server program as a child process on loopback: start it, wait until it is ready, end it by its pid."""

from __future__ import annotations

import asyncio
import socket
import subprocess
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from aiohttp import ClientError, ClientSession

Starter = Callable[[Callable[[], "subprocess.Popen[bytes]"]], "subprocess.Popen[bytes]"]
"""Starts a child by calling what it is given, and may keep account of it (`demo.sandbox.Sandbox.spawn`)."""

LOOPBACK = "127.0.0.1"
_POLL = 0.05
_PATIENCE = 20.0
"""Seconds that a server gets to become ready, and to end; generous, for machines that are busy."""


class ServerError(Exception):
    """A server could not be started or did not become ready; the message has its own words."""


@asynccontextmanager
async def running(
    argv: Sequence[str], ready: str, log: Path, *, start: Starter = lambda child: child()
) -> AsyncIterator[None]:
    """Run a server while the context lasts; ``ready`` is a URL that answers 200 once it is.

    Raises:
        ServerError: it cannot be started, it ended, or it was not ready in time.
    """
    try:
        with log.open("wb") as output:
            process = start(
                lambda: subprocess.Popen(
                    argv,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,  # Ctrl-C is for who started it, who then ends it in order
                )
            )
    except OSError as error:
        raise ServerError(f"'{argv[0]}' could not be started: {error.strerror}") from error
    try:
        await _until_ready(process, ready, log)
        yield
    finally:
        await asyncio.to_thread(end, process)


async def _until_ready(process: subprocess.Popen[bytes], ready: str, log: Path) -> None:
    try:
        async with asyncio.timeout(_PATIENCE), ClientSession() as session:
            while process.poll() is None:
                with suppress(ClientError):
                    async with session.get(ready) as response:
                        if response.status == 200:
                            return
                await asyncio.sleep(_POLL)
    except TimeoutError:
        said = await asyncio.to_thread(log.read_text)
        raise ServerError(f"{ready} did not answer within {_PATIENCE:.0f} s:\n{said}") from None
    said = await asyncio.to_thread(log.read_text)
    raise ServerError(f"The server for {ready} ended with status {process.returncode}:\n{said}")


def end(process: subprocess.Popen[bytes], patience: float = _PATIENCE) -> None:
    """End a child in order; kill it if it takes longer than ``patience`` seconds. Twice is no error."""
    process.terminate()
    try:
        process.wait(patience)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def free_port(preferred: int = 0) -> int:
    """A loopback port that is free just now: the preferred one, or any."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError):
                probe.bind((LOOPBACK, port))
                return int(probe.getsockname()[1])
    raise ServerError(f"no free port on {LOOPBACK}")
