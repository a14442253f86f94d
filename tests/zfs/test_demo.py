"""The demo with its monitoring, from start to end: it checks itself, and leaves nothing running."""

from __future__ import annotations

import asyncio
import io
import re
import socket
from pathlib import Path

import pytest
from rich.console import Console

from demo import dashboards
from demo.play import play
from demo.servers import ServerError
from tests.support.prometheus import binary

pytestmark = [pytest.mark.prometheus, pytest.mark.timeout(300)]


@pytest.fixture
def no_dashboards(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which they cannot be drawn; getting 450 MB of packages is no matter for a test."""

    async def prepare(folder: Path) -> list[str]:
        raise ServerError(f"npm is not installed, so nothing is made in {folder.name}")

    monkeypatch.setattr(dashboards, "prepare", prepare)


@pytest.mark.usefixtures("no_dashboards", "sandbox")
def test_the_monitored_demo_finds_all_well_and_takes_everything_away() -> None:
    for program in ("prometheus", "prometheus-alertmanager"):
        binary(program)
    said = io.StringIO()

    good = asyncio.run(play(Console(file=said, width=200), 20.0, monitored=True))

    assert good, said.getvalue()
    assert "No dashboards: npm is not installed" in said.getvalue()
    for name in ("Prometheus", "Alertmanager"):
        found = re.search(rf"^{name} .*http://127.0.0.1:(\d+)", said.getvalue(), re.MULTILINE)
        assert found, said.getvalue()
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", int(found[1]))) != 0, f"{name} still listens"
    folder = re.search(r"(/\S+)/daemon\.log", said.getvalue())
    assert folder
    assert not Path(folder[1]).exists()
