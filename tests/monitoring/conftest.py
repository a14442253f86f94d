"""Fixtures of the monitoring tests: a core to script, the real exporter that shows it, a real Prometheus."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from demo.servers import free_port
from exporter.plugin import ExporterPlugin
from replicator.plugins import Core
from tests.monitoring.prometheus import PATIENCE, POLL, Prometheus, binary, prometheus
from tests.statuses import FakeCore


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


@pytest.fixture
def core() -> FakeCore:
    """A core without jobs; script it with ``set_status``."""
    return FakeCore()


@pytest.fixture
async def exporter_address(core: FakeCore) -> AsyncIterator[str]:
    """The ``host:port`` of the real exporter that shows ``core``."""
    async with running_exporter(core) as address:
        yield address


@pytest.fixture
async def scraper(exporter_address: str, tmp_path: Path) -> AsyncIterator[Prometheus]:
    """A real Prometheus that scrapes the exporter of ``core`` once a second."""
    async with prometheus(tmp_path / "prometheus", [exporter_address]) as server:
        yield server


@pytest.fixture
def promtool() -> str:
    """The path of promtool."""
    return binary("promtool")
