"""The jobs whose broken promise would reach nobody, as a running plugin shows them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from replicator.models import JobId
from tests.support.daemon_env import until
from tests.support.notify import running, target
from tests.support.notify_clock import TestClock, WatchedMemory
from tests.support.statuses import FakeCore, disabled, healthy

WEB, DB = JobId(100, 0), JobId(101, 0)
PING: dict[str, object] = {"name": "ping", "ping": "https://hc.example.org/key/{job}"}


@asynccontextmanager
async def routed(*targets: dict[str, object]) -> AsyncIterator[FakeCore]:
    core = FakeCore()
    core.set_status(healthy("100-0"), healthy("101-0"), disabled("102-0"))
    core.memories["notify"] = WatchedMemory()
    core.unreported = (JobId(999, 0),)
    async with running(core, TestClock(core), *targets):
        yield core


@pytest.mark.parametrize(
    ("targets", "unreported"),
    [
        ([target(1)], ()),
        ([{**target(1), "match": {"guest": 100}}], (DB,)),
        ([{**target(1), "match": {"guest": 100}}, {**target(2, "other"), "match": {"job": "101-0"}}], ()),
        ([{**target(1), "match": {"severity": "warning"}}], (WEB, DB)),
        ([{**target(1), "quiet": {"window": "00:00-24:00", "mode": "drop"}}], (WEB, DB)),
        ([{**target(1), "quiet": {"window": "00:00-24:00", "mode": "drop", "below": "critical"}}], ()),
        ([PING], ()),
        ([{**PING, "match": {"guest": 101}}], (WEB,)),
        ([], None),
        ([{**target(1), "enabled": False}], None),
    ],
)
async def test_jobs_that_promise_something_and_that_no_target_reports_are_shown(
    targets: list[dict[str, object]], unreported: tuple[JobId, ...] | None
) -> None:
    async with routed(*targets) as core:
        await until(lambda: core.unreported == unreported)


async def test_a_job_that_is_made_later_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alerts.plugin.UNREPORTED_SECONDS", 0.01)
    async with routed({**target(1), "match": {"guest": [100, 101]}}) as core:
        await until(lambda: core.unreported == ())
        core.set_status(healthy("100-0"), healthy("105-0"))
        await until(lambda: core.unreported == (JobId(105, 0),))
