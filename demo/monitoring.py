"""The monitoring of `make monitoring`: Prometheus with zsr's rules, Alertmanager, and the dashboards.

Rules are the shipped files as they are. Alertmanager posts to the demo's own inbox, so that its messages are seen below
the table.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import ClientError, ClientSession
from rich.console import Console

from demo import dashboards
from demo.env import GUESTS, DemoEnv
from demo.prometheus import (
    alertmanager_command,
    alertmanager_settings,
    prometheus_command,
    prometheus_settings,
    shipped_rules,
)
from demo.servers import LOOPBACK, ServerError, free_port, running
from demo.verdict import Finding
from demo.webhook import Inbox

SCRAPE = 5
"""Seconds between two scrapes."""

PROMETHEUS_PORT, ALERTMANAGER_PORT = 9090, 9093


@dataclass(frozen=True, slots=True)
class Monitoring:
    """What runs, by URL; ``boards`` are the dashboards, none where they cannot be drawn."""

    prometheus: str
    alertmanager: str
    boards: Mapping[str, str]

    @property
    def advice(self) -> str:
        """Where to look and what to type."""
        lines = [
            f"Prometheus    {self.prometheus}/alerts   the alerts and their causes",
            f"              {self.prometheus}/graph?g0.expr=zsr_job%3Azsr_job_lag_per_rpo%3Aratio&g0.tab=0",
            f"Alertmanager  amtool --alertmanager.url={self.alertmanager} alert   (Debian's has no page)",
            *(f"{'Dashboards' if not index else '':14}{url}" for index, url in enumerate(self.boards.values())),
        ]
        return "\n".join(lines) + "\n"


@asynccontextmanager
async def monitoring(console: Console, stage: DemoEnv, box: Inbox, stop: asyncio.Event) -> AsyncIterator[Monitoring]:
    """Run it all while the context lasts; ``stop`` breaks a long beginning off.

    Raises:
        ServerError: Prometheus or Alertmanager is missing or does not start.
    """
    folder = stage.sandbox.directory / "monitoring"
    watcher = f"{LOOPBACK}:{free_port(ALERTMANAGER_PORT)}"
    scraper = f"{LOOPBACK}:{free_port(PROMETHEUS_PORT)}"
    alerting = alertmanager_command(
        _program("prometheus-alertmanager"),
        folder,
        alertmanager_settings(webhook=f"http://{LOOPBACK}:{box.port}/alertmanager"),
        watcher,
    )
    settings = prometheus_settings(
        [stage.listen], rules=shipped_rules(), interval=f"{SCRAPE}s", alertmanagers=[watcher]
    )
    scraping = prometheus_command(_program("prometheus"), folder, settings, scraper)
    start = stage.sandbox.spawn
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(
            running(alerting, f"http://{watcher}/-/ready", folder / "alertmanager.log", start=start)
        )
        await stack.enter_async_context(
            running(scraping, f"http://{scraper}/-/ready", folder / "prometheus.log", start=start)
        )
        boards = await _boards(console, stack, stop, folder / "dashboards", f"http://{scraper}")
        yield Monitoring(f"http://{scraper}", f"http://{watcher}", boards)


async def _boards(
    console: Console, stack: AsyncExitStack, stop: asyncio.Event, folder: Path, prometheus: str
) -> Mapping[str, str]:
    """The dashboards, if they can be drawn here; else the reason is said and all the rest goes on."""
    console.print("Building the page of the dashboards (the first time this downloads 450 MB of packages) ...")
    await asyncio.to_thread(folder.mkdir)
    preparing, stopping = asyncio.create_task(dashboards.prepare(folder)), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({preparing, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not preparing.done():
            return {}
        return await stack.enter_async_context(
            dashboards.serving(folder, preparing.result(), prometheus, scrape=SCRAPE)
        )
    except ServerError as error:
        console.print(f"No dashboards: {error}", style="yellow", markup=False, highlight=False)
        return {}
    finally:
        stopping.cancel()
        preparing.cancel()
        await asyncio.wait({preparing, stopping})


async def judge(running_now: Monitoring) -> list[Finding]:
    """Whether Prometheus has every job with its promise, its rules are well, and it has found Alertmanager."""
    try:
        async with ClientSession() as session:
            return [
                await _scraped(session, running_now.prometheus),
                await _rules(session, running_now.prometheus),
                await _alertmanager(session, running_now),
                *[await _drawn(session, name, url) for name, url in running_now.boards.items()],
            ]
    except (ClientError, OSError, KeyError) as error:
        return [Finding(False, f"{running_now.prometheus} did not answer: {error!r}")]


async def _api(session: ClientSession, prometheus: str, path: str, **parameters: str) -> Any:
    async with session.get(f"{prometheus}/api/v1/{path}", params=parameters) as response:
        return (await response.json())["data"]


async def _scraped(session: ClientSession, prometheus: str) -> Finding:
    used = "(time() - zsr_job_last_sync_timestamp_seconds) / on (job, instance, zsr_job) zsr_job_rpo_seconds"
    found = (await _api(session, prometheus, "query", query=used))["result"]
    worst = max((float(each["value"][1]) for each in found), default=0.0)
    text = f"Prometheus knows the promise of {len(found)} of {len(GUESTS)} jobs; at most {worst:.0%} of one is used up"
    return Finding(len(found) == len(GUESTS), text)


async def _rules(session: ClientSession, prometheus: str) -> Finding:
    groups = (await _api(session, prometheus, "rules"))["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    bad = [f"{rule['name']}: {rule['lastError']}" for rule in rules if rule["health"] == "err"]
    return Finding(
        bool(rules) and not bad, "; ".join(bad) or f"{len(rules)} rules of zsr are evaluated without an error"
    )


async def _alertmanager(session: ClientSession, running_now: Monitoring) -> Finding:
    known = (await _api(session, running_now.prometheus, "alertmanagers"))["activeAlertmanagers"]
    found = any(each["url"].startswith(running_now.alertmanager) for each in known)
    return Finding(found, f"Prometheus {'sends' if found else 'does not send'} alerts to {running_now.alertmanager}")


async def _drawn(session: ClientSession, name: str, url: str) -> Finding:
    """Whether a dashboard's page is there with all that a browser then asks for."""
    parts = ("index.html", "dashboard.json", "dist/app.js", "dist/app.css")
    missing = []
    for part in parts:
        async with session.get(url.partition("index.html")[0] + part) as response:
            if response.status != 200:
                missing.append(part)
    return Finding(
        not missing, f"dashboard {name}: " + (f"no {', '.join(missing)}" if missing else "its page is served")
    )


def _program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise ServerError(f"'{name}' is not installed: apt-get install --no-install-recommends {name}")
    return path
