"""Fixtures of the monitoring tests: a core to script, the real exporter that shows it, a real Prometheus, webhooks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.exporting import running_exporter
from tests.support.notify_clock import TestClock
from tests.support.prometheus import Prometheus, binary, prometheus
from tests.support.statuses import FakeCore
from tests.support.webhookserver import WebhookServer, webhook_server


@pytest.fixture
def core() -> FakeCore:
    """A core without jobs; script it with ``set_status``."""
    return FakeCore()


@pytest.fixture
def clock(core: FakeCore) -> TestClock:
    """The clock of the notifications, which moves the time of ``core``."""
    return TestClock(core)


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
async def hooks() -> AsyncIterator[WebhookServer]:
    """A real webhook server."""
    async with webhook_server() as server:
        yield server


@pytest.fixture
def promtool() -> str:
    """The path of promtool."""
    return binary("promtool")
