"""A real Prometheus for a test: started on a free loopback port, asked over its API, ended by its own pid.

Debian's packages ``prometheus`` (which brings ``promtool``) are expected. Where they are missing a test is skipped by
name, except in CI (``CI=true``), where that is a failure.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from demo.prometheus import prometheus_command, prometheus_settings
from demo.servers import ServerError, free_port, running

POLL = 0.05
PATIENCE = 20.0
"""Seconds after which something that did not come is a failure; generous, for machines that are busy."""


@dataclass(frozen=True, slots=True)
class Found:
    """One series of an instant query's answer; ``labels`` without ``__name__``."""

    labels: dict[str, str]
    value: float


class Prometheus:
    """A running Prometheus that scrapes once a second."""

    def __init__(self, url: str, session: ClientSession, log: Path) -> None:
        self.url = url
        self._session = session
        self._log = log

    async def api(self, path: str, **parameters: str) -> Any:
        """The ``data`` of an API answer, such as ``api("targets")``; raises AssertionError if it is an error."""
        async with self._session.get(f"{self.url}/api/v1/{path}", params=parameters) as response:
            answer = await response.json()
        assert answer["status"] == "success", f"{path} {parameters}: {answer}"
        return answer["data"]

    async def query(self, expression: str) -> list[Found]:
        """The answer to an instant query; a scalar is one series without labels."""
        data = await self.api("query", query=expression)
        if data["resultType"] == "scalar":
            return [Found({}, float(data["result"][1]))]
        return [
            Found({key: value for key, value in each["metric"].items() if key != "__name__"}, float(each["value"][1]))
            for each in data["result"]
        ]

    async def until(
        self, expression: str, good: Callable[[list[Found]], bool] = bool, *, patience: float = PATIENCE
    ) -> list[Found]:
        """Ask again until the answer is good (default: there is one) and give it; fails when patience is at its end."""
        answer: list[Found] = []
        try:
            async with asyncio.timeout(patience):
                while not good(answer := await self.query(expression)):  # noqa: ASYNC110 - another process
                    await asyncio.sleep(POLL)
        except TimeoutError:
            pytest.fail(f"{expression} never became good; last answer: {answer}; targets: {await self.targets()}")
        return answer

    async def targets(self) -> list[dict[str, Any]]:
        """The active scrape targets as the API returns them (``health``, ``lastError``, ``lastScrape``, ...)."""
        return list((await self.api("targets", state="active"))["activeTargets"])

    async def scraped_again(self, times: int = 2) -> None:
        """Wait until every target has been scraped so many times more; then what was true before is stored."""
        begin = await self._scrapes()
        try:
            async with asyncio.timeout(PATIENCE):
                while await self._behind(begin, times):  # noqa: ASYNC110 - another process
                    await asyncio.sleep(POLL)
        except TimeoutError:
            pytest.fail(f"no further scrapes; targets: {await self.targets()}")

    async def alerts(self) -> list[dict[str, Any]]:
        """The alerts that the rules raise now, pending ones too."""
        return list((await self.api("alerts"))["alerts"])

    def log(self) -> str:
        """What the process has written so far."""
        return self._log.read_text()

    async def _behind(self, begin: dict[str, int], times: int) -> bool:
        return any(now < begin.get(url, 0) + times for url, now in (await self._scrapes()).items())

    async def _scrapes(self) -> dict[str, int]:
        counted = await self.query("count_over_time(up[10m])")
        return {each.labels["instance"]: int(each.value) for each in counted}


def binary(name: str, package: str = "prometheus") -> str:
    """The path of one of Debian's tools; without it the test is skipped, or failed when ``CI=true``."""
    path = shutil.which(name)
    if path is None:
        message = f"{name} is not installed (apt-get install {package})"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return path


@asynccontextmanager
async def prometheus(
    directory: Path,
    targets: Sequence[str],
    *,
    rules: Sequence[Path] = (),
    interval: str = "1s",
    job: str = "zsr",
    flags: Sequence[str] = (),
    scrape: Mapping[str, object] | None = None,
) -> AsyncIterator[Prometheus]:
    """Run Prometheus while the context lasts: it scrapes ``host:port`` targets and evaluates rule files.

    ``scrape``: further settings of its one scrape job.
    """
    listen = f"127.0.0.1:{free_port()}"
    settings = prometheus_settings(targets, rules=rules, interval=interval, job=job, scrape=scrape)
    command = prometheus_command(binary("prometheus"), directory, settings, listen)
    log = directory / "prometheus.log"
    try:
        async with (
            running([*command, *flags], f"http://{listen}/-/ready", log),
            ClientSession() as session,
        ):
            yield Prometheus(f"http://{listen}", session, log)
    except ServerError as error:
        pytest.fail(str(error))
