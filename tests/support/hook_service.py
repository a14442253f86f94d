"""What systemd does with ``zsr-hook.socket``: it listens, and starts the program of the unit for each connection."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from replicator.hosts.hook_unit import HookUnit

RUNNER = (sys.executable, "-m", "replicator.hosts.hook_runner")


@asynccontextmanager
async def hook_service(folder: Path, program: tuple[str, ...] = RUNNER) -> AsyncIterator[HookUnit]:
    """The unit of hooks while the body runs; ``program`` gets each connection as its standard input."""
    path = folder / "hook.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen()
        listener.setblocking(False)
        serving = asyncio.ensure_future(_serve(listener, program))
        try:
            yield HookUnit(str(path))
        finally:
            serving.cancel()
            with suppress(asyncio.CancelledError):
                await serving


async def _serve(listener: socket.socket, program: tuple[str, ...]) -> None:
    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as group:
        while True:
            connection, _ = await loop.sock_accept(listener)
            with connection:
                connection.setblocking(True)
                process = await asyncio.create_subprocess_exec(*program, stdin=connection.fileno())
            group.create_task(_ended(process))


async def _ended(process: asyncio.subprocess.Process) -> None:
    try:
        await process.wait()
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
