"""The demo from start to end: set up, run the daemon while guests write, shut down in order, check the result."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import aiohttp
from rich.console import Console
from rich.live import Live

from demo import table
from demo.env import GUESTS, DemoEnv, set_up
from demo.monitoring import Monitoring, judge, monitoring
from demo.sandbox import Sandbox
from demo.servers import end as end_in_order
from demo.servers import free_port
from demo.verdict import Finding, judge_content, judge_runs
from demo.webhook import Inbox, inbox
from demo.writer import write
from replicator.daemon.control import call
from replicator.errors import ZsrError

PREFERRED_PORT = 9847
MOMENT = 1.0
"""Seconds between two updates of the screen."""
TWO_RUNS = 75
"""Seconds in which a job with a run each minute has certainly had two."""

Jobs = Sequence[Mapping[str, Any]]


class DemoError(Exception):
    """The demo cannot go on; the message says why."""


async def play(console: Console, duration: float | None, *, monitored: bool = False) -> bool:
    """Run the demo for ``duration`` seconds (None: until it is stopped). True when all checks passed.

    ``monitored`` runs Prometheus, Alertmanager and the dashboards too (`demo.monitoring`).
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    console.print("Creating two pools, for the nodes alpha and beta ...")
    with Sandbox("demo") as sandbox:
        async with inbox() as box:
            stage = await asyncio.to_thread(
                set_up, sandbox, listen=f"127.0.0.1:{free_port(PREFERRED_PORT)}", webhook_port=box.port
            )
            before = await asyncio.to_thread(_digests, stage)
            async with AsyncExitStack() as stack:
                watched = await stack.enter_async_context(monitoring(console, stage, box, stop)) if monitored else None
                jobs, seen = await _perform(console, stage, box, stop, duration, watched)
        if stop.is_set() and duration is None:
            console.print("Ending: removing daemon, pools, mounts and files ...")
            return True
        if stop.is_set():
            console.print("Ended early: nothing was checked.")
            return False
        findings = [*seen, *judge_runs(jobs, len(GUESTS), 2 if duration and duration >= TWO_RUNS else 1)]
        findings += await asyncio.to_thread(judge_content, stage, before)
        return _report(console, findings)


async def _perform(
    console: Console,
    stage: DemoEnv,
    box: Inbox,
    stop: asyncio.Event,
    duration: float | None,
    watched: Monitoring | None,
) -> tuple[Jobs, list[Finding]]:
    """Let daemon and writer work; returns the daemon's last status of its jobs and the findings on its metrics."""
    folders = [stage.sandbox.mountpoint(stage.source(volume)) for volume in stage.volumes]
    end = None if duration is None else time.monotonic() + duration
    async with _writing(folders):
        daemon = stage.daemon()
        try:
            console.print(table.advice(stage), soft_wrap=True, highlight=False)
            if watched is not None:
                console.print(watched.advice, soft_wrap=True, highlight=False, markup=False)
            await _watch(console, stage, box, daemon, stop, end)
            while end is not None and not stop.is_set() and _syncing(await _jobs(stage)):
                await _pause(stop)  # a run that is going on is let through
            jobs = await _jobs(stage)
            return jobs, [await _scrape(stage), *(await judge(watched) if watched is not None else [])]
        finally:
            await asyncio.to_thread(end_in_order, daemon, 30.0)


async def _watch(
    console: Console,
    stage: DemoEnv,
    box: Inbox,
    daemon: subprocess.Popen[bytes],
    stop: asyncio.Event,
    end: float | None,
) -> None:
    """Show the jobs until the demo is stopped or the time is over; raises DemoError if the daemon ends."""
    if not console.is_terminal:
        console.print(table.ending(None if end is None else end - time.monotonic()), highlight=False)
    said: dict[str, None] = {}
    with Live(console=console, auto_refresh=False, screen=False, transient=False) as live:
        while not stop.is_set():
            left = None if end is None else end - time.monotonic()
            if left is not None and left <= 0:
                return
            if daemon.poll() is not None:
                raise DemoError(f"zsr daemon ended by itself, status {daemon.returncode}:\n{stage.log.read_text()}")
            jobs = await _jobs(stage)
            news = box.messages[-1] if box.messages else None
            if console.is_terminal:
                live.update(table.picture(jobs, news, time.time(), left), refresh=True)
            else:
                for line in [*table.lines(jobs), *(f"notification: {message.title}" for message in box.messages)]:
                    if line not in said:
                        said[line] = None
                        console.print(f"{table.clock(time.time())} {line}", soft_wrap=True, highlight=False)
            await _pause(stop)


async def _pause(stop: asyncio.Event) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), MOMENT)


@asynccontextmanager
async def _writing(folders: list[Any]) -> AsyncIterator[None]:
    """The guests write while the context lasts."""
    writer = asyncio.create_task(write(folders))
    try:
        yield
    finally:
        writer.cancel()
        with suppress(asyncio.CancelledError):
            await writer


async def _jobs(stage: DemoEnv) -> Jobs:
    """The jobs as the daemon reports them; none while it does not answer yet."""
    try:
        answer = await call(stage.control, {"verb": "status"})
    except ZsrError:
        return []
    return list(answer["jobs"]) if isinstance(answer, dict) else []


def _syncing(jobs: Jobs) -> bool:
    return any(job["state"] == "syncing" for job in jobs)


async def _scrape(stage: DemoEnv) -> Finding:
    """Whether /metrics has a last sync of every job, as Prometheus would read it."""
    url = f"http://{stage.listen}/metrics"
    try:
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            text = await response.text()
    except (aiohttp.ClientError, OSError) as error:
        return Finding(False, f"{url} did not answer: {error}")
    found = [guest for guest in GUESTS if f'zsr_job_last_sync_timestamp_seconds{{zsr_job="{guest}-0"}}' in text]
    return Finding(len(found) == len(GUESTS), f"{url} has the last sync of {len(found)} of {len(GUESTS)} jobs")


def _digests(stage: DemoEnv) -> dict[str, str]:
    """What every volume holds before the first run."""
    digests = {}
    for volume in stage.volumes:
        snapshot = f"{stage.source(volume)}@before-the-demo"
        stage.sandbox.zfs("snapshot", snapshot)
        digests[volume] = stage.sandbox.digest(snapshot)
        stage.sandbox.zfs("destroy", snapshot)
    return digests


def _report(console: Console, findings: Sequence[Finding]) -> bool:
    for finding in findings:
        mark = "[green]good[/]" if finding.good else "[bold red]WRONG[/]"
        console.print(mark, finding.text, highlight=False, soft_wrap=True)
    good = all(finding.good for finding in findings)
    console.print("Replication really happened." if good else "[bold red]Replication did not work as expected.[/]")
    return good
