"""The exporter plugin, running in the test's event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from demo.servers import free_port
from exporter.plugin import ExporterPlugin
from replicator.api.plugin import Core
from tests.support.prometheus import PATIENCE, POLL


@asynccontextmanager
async def running_exporter(core: Core, port: int | None = None) -> AsyncIterator[str]:
    """Run the exporter plugin in this event loop while the context lasts; gives its ``host:port``."""
    address = f"127.0.0.1:{port or free_port()}"
    task = asyncio.create_task(ExporterPlugin().run(core, {"exporter": {"listen": address}}))
    try:
        await _answers(address, task)
        yield address
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _answers(address: str, task: asyncio.Task[None]) -> None:
    host, _, port = address.rpartition(":")
    async with asyncio.timeout(PATIENCE):
        while True:
            if task.done():
                await task
            try:
                _, writer = await asyncio.open_connection(host, int(port))
            except OSError:
                await asyncio.sleep(POLL)
            else:
                writer.close()
                await writer.wait_closed()
                return
