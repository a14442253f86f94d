"""Pings to a real server: which run is reported how, in order, and what happens to one that is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from alerts.channels.healthchecks import Pinger, ping_of, ping_problem, try_ping
from alerts.secrets import Secret
from replicator.errors import ErrorClass
from replicator.events import Event, JobRemoved, RunCancelled, RunFailed, RunStarted, RunSucceeded
from replicator.models import JobId
from tests.support import statuses
from tests.support.webhookserver import WebhookServer

NOW = statuses.NOW
JOB = JobId(100, 0)
STARTED = RunStarted(NOW, JOB, 7)
WELL = RunSucceeded(NOW + 12.5, JOB, 7, NOW, 12.5, 4096)
FAILED = RunFailed(NOW, JOB, 8, ErrorClass.NETWORK, "Node beta does not answer.", "Check it.", 1, NOW, None, None)
OTHERS: list[Event] = [RunCancelled(NOW, JOB, 9), JobRemoved(NOW, JOB)]


class Pause:
    def __init__(self) -> None:
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


@asynccontextmanager
async def pinging(core: statuses.FakeCore, port: int, counted: list[bool], pause: Pause) -> AsyncIterator[None]:
    url = Secret(f"http://127.0.0.1:{port}/p1ng-key/zsr-{{job}}?create=1")
    task = asyncio.create_task(Pinger("hc", url, counted.append, sleep=pause.sleep).run(core))
    await asyncio.sleep(0)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_start_success_and_failure_of_a_run_are_reported_in_order(hooks: WebhookServer) -> None:
    core, counted = statuses.FakeCore(), list[bool]()
    async with pinging(core, hooks.port, counted, Pause()):
        await core.publish(STARTED, WELL, FAILED, *OTHERS)
        async with asyncio.timeout(10):
            await hooks.wait_for(3)
    paths = [hook.path.partition("&rid=") for hook in hooks.seen]
    assert [path for path, _, _ in paths] == [
        "/p1ng-key/zsr-100-0/start?create=1",
        "/p1ng-key/zsr-100-0?create=1",
        "/p1ng-key/zsr-100-0/fail?create=1",
    ]
    start, well, failed = (run for _, _, run in paths)
    assert start == well != failed


async def test_jobs_that_are_not_wanted_are_not_pinged(hooks: WebhookServer) -> None:
    core, url = statuses.FakeCore(), Secret(f"http://127.0.0.1:{hooks.port}/{{job}}")
    pinger = Pinger("hc", url, lambda _: None, wants=lambda job: job.guest == 101)
    task = asyncio.create_task(pinger.run(core))
    await asyncio.sleep(0)
    await core.publish(STARTED, RunStarted(NOW, JobId(101, 0), 8))
    async with asyncio.timeout(10):
        await hooks.wait_for(1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert [hook.path.partition("/start")[0] for hook in hooks.seen] == ["/101-0"]


async def test_a_trial_changes_nothing_of_a_check(hooks: WebhookServer) -> None:
    sent = await try_ping(Secret(f"http://127.0.0.1:{hooks.port}/key/zsr-{{job}}?create=1"), JOB, 5.0)
    assert sent.ok
    assert hooks.seen[0].path == "/key/zsr-100-0/log?create=1"


async def test_a_ping_that_is_not_taken_is_tried_three_times_and_dropped(
    hooks: WebhookServer, caplog: pytest.LogCaptureFixture
) -> None:
    hooks.statuses = [503]
    core, counted, pause = statuses.FakeCore(), list[bool](), Pause()
    async with pinging(core, hooks.port, counted, pause):
        await core.publish(STARTED)
        async with asyncio.timeout(10):
            while "did not accept a ping" not in caplog.text:  # noqa: ASYNC110 - the log is what is waited for
                await asyncio.sleep(0.01)
    assert counted == [False] * 3
    assert pause.slept == [2.0, 10.0]
    assert "p1ng-key" not in caplog.text


async def test_a_ping_for_a_check_that_does_not_exist_is_not_repeated(hooks: WebhookServer) -> None:
    hooks.statuses = [404]
    core, counted, pause = statuses.FakeCore(), list[bool](), Pause()
    async with pinging(core, hooks.port, counted, pause):
        await core.publish(STARTED)
        async with asyncio.timeout(10):
            while not counted:  # noqa: ASYNC110 - counting tells nobody
                await asyncio.sleep(0.01)
    assert (counted, pause.slept) == ([False], [])


def test_a_failure_says_why() -> None:
    ping = ping_of(FAILED, "https://hc.example.org/k/{job}", "alpha")
    assert ping is not None
    assert ping.body == "network: Node beta does not answer. Check it."


@pytest.mark.parametrize("event", OTHERS)
def test_other_events_are_not_pinged(event: Event) -> None:
    assert ping_of(event, "https://hc.example.org/k/{job}", "alpha") is None


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://hc-ping.com/key/zsr-{job}", ""),
        ("https://hc-ping.com/key", "{job}"),
        ("ftp://x/{job}", "http"),
        ("{job}", "http"),
        ("https://[::1/{job}", "http"),
    ],
)
def test_a_ping_url_is_checked_without_being_shown(url: str, allowed: str) -> None:
    assert allowed in ping_problem(url)
    assert bool(allowed) is bool(ping_problem(url))
