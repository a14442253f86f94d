"""A real Alertmanager for a test: started on a free loopback port, fed and asked over its API, ended by its own pid.

Debian's package ``prometheus-alertmanager`` is expected; where it is missing a test is skipped by name, except in CI.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

import pytest
import yaml
from aiohttp import ClientError, ClientSession

from demo.servers import free_port
from tests.support.prometheus import PATIENCE, POLL, binary

EXAMPLE = Path(__file__).parents[2] / "alerts" / "alertmanager" / "alertmanager.yml"


class Alertmanager:
    """A running Alertmanager."""

    def __init__(self, url: str, session: ClientSession) -> None:
        self.url = url
        self._session = session

    async def fire(self, alerts: Iterable[Mapping[str, str]]) -> None:
        """Post alerts, each given by its labels, in one request, as Prometheus does after an evaluation."""
        body = [{"labels": dict(labels), "annotations": {}} for labels in alerts]
        async with self._session.post(f"{self.url}/api/v2/alerts", json=body) as response:
            assert response.status == 200, await response.text()

    async def silence(self, **labels: str) -> None:
        """Silence all alerts with these labels for an hour, as ``amtool silence add`` does."""
        now = datetime.now(UTC)
        body = {
            "matchers": [{"name": name, "value": value, "isRegex": False} for name, value in labels.items()],
            "startsAt": now.isoformat(),
            "endsAt": (now + timedelta(hours=1)).isoformat(),
            "createdBy": "a test",
            "comment": "a repair",
        }
        async with self._session.post(f"{self.url}/api/v2/silences", json=body) as response:
            assert response.status == 200, await response.text()

    async def states(self) -> dict[str, dict[str, int]]:
        """How many alerts of each name are in which state: ``active`` or ``suppressed``."""
        async with self._session.get(f"{self.url}/api/v2/alerts") as response:
            alerts = await response.json()
        counted: dict[str, dict[str, int]] = {}
        for alert in alerts:
            states = counted.setdefault(alert["labels"]["alertname"], {})
            states[alert["status"]["state"]] = states.get(alert["status"]["state"], 0) + 1
        return counted


def hurried(port: int) -> dict[str, Any]:
    """The example settings with its receivers on a loopback port, and its waits cut to a second."""
    settings: dict[str, Any] = yaml.safe_load(EXAMPLE.read_text())
    settings["route"] |= {"group_wait": "1s", "group_interval": "1s"}
    for receiver in settings["receivers"]:
        for hook in receiver["webhook_configs"]:
            hook["url"] = f"http://127.0.0.1:{port}/{receiver['name']}"
    return settings


@asynccontextmanager
async def alertmanager(directory: Path, settings: Mapping[str, Any]) -> AsyncIterator[Alertmanager]:
    """Run Alertmanager with these settings while the context lasts."""
    program = binary("prometheus-alertmanager", package="prometheus-alertmanager")
    file = _write(directory, settings)
    port = free_port()
    log = directory / "alertmanager.log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            program,
            f"--config.file={file}",
            f"--storage.path={directory / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--cluster.listen-address=",  # no cluster, no second port
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        async with ClientSession() as session:
            url = f"http://127.0.0.1:{port}"
            await _ready(url, session, process, log)
            yield Alertmanager(url, session)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def _write(directory: Path, settings: Mapping[str, Any]) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / "alertmanager.yml"
    file.write_text(yaml.safe_dump(dict(settings)))
    return file


def _give_up(log: Path, words: str) -> NoReturn:
    pytest.fail(f"alertmanager {words}:\n{log.read_text()}")


async def _ready(url: str, session: ClientSession, process: asyncio.subprocess.Process, log: Path) -> None:
    try:
        async with asyncio.timeout(PATIENCE):
            while process.returncode is None:
                try:
                    async with session.get(f"{url}/-/ready") as response:
                        if response.status == 200:
                            return
                except ClientError:
                    pass
                await asyncio.sleep(POLL)
    except TimeoutError:
        _give_up(log, "did not become ready")
    _give_up(log, f"ended with status {process.returncode}")
