"""The other end of ``zsr guest stand-by``: starts it on the node to which a guest moves, and gives it the order."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass
from io import RawIOBase

import click

from replicator.cli.stand_by import ORDER, READY, TAKEN
from replicator.display import decoded
from replicator.errors import DeadlineError, ZsrError
from replicator.hosts.host import Host, StreamProcess

_END_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class StandBy:
    """A command that waits on another node.

    Attributes:
        node: its name.
        process: the command.
        order: the write end of its standard input.
        said: its standard output.
    """

    node: str
    process: StreamProcess
    order: RawIOBase
    said: asyncio.StreamReader

    async def is_ready(self, limit: float) -> bool:
        """Return whether the command waits for its order within ``limit`` seconds; it may fail before."""
        with suppress(TimeoutError):
            async with asyncio.timeout(limit):
                while line := await self._next_line():
                    if line == READY:
                        return True
        return False

    async def take(self, limit: float) -> float | None:
        """Give the order, wait for the end, and print what was said.

        Returns:
            When the guest had all that it needs there (monotonic seconds); None: the command failed.

        Raises:
            DeadlineError: it did not end within ``limit`` seconds. NetworkError: the connection was lost meanwhile.
        """
        with suppress(BrokenPipeError):  # it has ended before: its status gives the reason
            self.order.write(f"{ORDER}\n".encode())
        taken = None
        try:
            async with asyncio.timeout(limit):
                while line := await self._next_line():
                    if line == TAKEN:
                        taken = time.monotonic()
                    elif line != READY:
                        click.echo(f"{self.node}: {line}")
                done = await self.process.wait()
        except TimeoutError:
            raise DeadlineError(f"'zsr guest take' on {self.node} did not end within {limit:.0f} s.") from None
        for line in done.stderr.splitlines() if done.ok else ():
            click.echo(f"{self.node}: {line}", err=True)
        return taken if done.ok else None

    async def _next_line(self) -> str:
        """Return the next line, without its end unless it is empty; an empty text at the end."""
        try:
            line = decoded(await self.said.readline())
        except ValueError:  # longer than any of zsr's: the noise of a login shell
            return "(a long line)"
        return line.rstrip("\n") or line


@asynccontextmanager
async def standing_by(host: Host, words: Sequence[str]) -> AsyncIterator[StandBy | None]:
    """Start the command that waits, while the body runs; None if it cannot be started. Without an order it ends."""
    stdin, order = os.pipe()
    said, stdout = os.pipe()
    reader, loop = asyncio.StreamReader(), asyncio.get_running_loop()
    output = os.fdopen(said, "rb", buffering=0)
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), output)
    with closing(transport), os.fdopen(order, "wb", buffering=0) as orders:
        try:
            argv = ["zsr", "guest", "stand-by", *words]
            process = await host.start_sink(argv, stdin, expected_bytes=0, stdout=stdout)
        except ZsrError:
            yield None
            return
        try:
            yield StandBy(host.name, process, orders, reader)
        finally:
            orders.close()
            await _end(process)


async def _end(process: StreamProcess) -> None:
    """Wait a moment for the end of a process that got no order, or kill it."""
    try:
        async with asyncio.timeout(_END_SECONDS):
            await process.ended()
    except (TimeoutError, ZsrError, OSError):
        await process.kill()
