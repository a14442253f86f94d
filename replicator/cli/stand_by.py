"""A ``zsr guest take`` that is started on the other node before a guest stops, and waits for its order.

Starting a program takes a second or more, in which a guest that moves would be off.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import click

from replicator.cli.context import config_option
from replicator.cli.guest_take import take
from replicator.errors import ConfigError, DeadlineError, ZsrError
from replicator.hosts.host import Host, StreamProcess

_ORDER = "take"
_END_SECONDS = 5.0
_OUTPUT_ON_STDERR = 'exec zsr guest stand-by "$@" 1>&2'
"""Of a process that reads a descriptor only its standard error is kept."""


@click.command("stand-by", hidden=True)
@click.argument("guest_id", metavar="ID", type=int)
@click.option("--leave-off", is_flag=True)
@config_option
def stand_by(guest_id: int, leave_off: bool) -> None:
    """Wait for the order on standard input to take guest ID, and end without one. A move uses it."""
    if sys.stdin.readline().strip() != _ORDER:
        raise ConfigError("No order came; nothing was changed.")
    click.get_current_context().invoke(take, guest_id=guest_id, leave_off=leave_off)


@dataclass(frozen=True, slots=True)
class StandBy:
    """A command that waits on another node; ``order`` is the write end of its standard input."""

    node: str
    process: StreamProcess
    order: int

    async def take(self, limit: float) -> bool:
        """Give the order, wait for the end, and print what was said; return whether it did all.

        Raises:
            DeadlineError: it did not end within ``limit`` seconds. NetworkError: the connection was lost meanwhile.
        """
        with suppress(BrokenPipeError):  # it has ended before: its status gives the reason
            os.write(self.order, f"{_ORDER}\n".encode())
        try:
            async with asyncio.timeout(limit):
                done = await self.process.wait()
        except TimeoutError:
            raise DeadlineError(f"'zsr guest take' on {self.node} did not end within {limit:.0f} s.") from None
        if done.ok:
            for line in done.stderr.splitlines():
                click.echo(f"{self.node}: {line}")
        return done.ok


@asynccontextmanager
async def standing_by(host: Host, words: Sequence[str]) -> AsyncIterator[StandBy | None]:
    """Start the command that waits, while the body runs; None if it cannot be started. Without an order it ends."""
    reading, writing = os.pipe()
    try:
        try:
            argv = ["sh", "-c", _OUTPUT_ON_STDERR, "sh", *words]
            process = await host.start_sink(argv, reading, expected_bytes=0)
        except ZsrError:
            yield None
            return
        try:
            yield StandBy(host.name, process, writing)
        finally:
            os.close(writing)
            writing = -1
            await _end(process)
    finally:
        if writing >= 0:
            os.close(writing)


async def _end(process: StreamProcess) -> None:
    """Wait a moment for the end of a process that got no order, or kill it."""
    try:
        async with asyncio.timeout(_END_SECONDS):
            await process.ended()
    except (TimeoutError, ZsrError, OSError):
        await process.kill()
