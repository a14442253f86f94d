"""Messages for several jobs, by routes and times of the day: dead nodes, matches, quiet hours, reminders, digests."""

from __future__ import annotations

from dataclasses import replace

import pytest

from alerts.delivery.store import load_log
from replicator.api.job_status import JobHistory
from replicator.errors import ErrorClass
from replicator.models import JobId
from tests.support import statuses
from tests.support.notify import (
    failed,
    failing_core,
    recovered,
    running,
    settled,
    target,
)
from tests.support.notify_clock import TestClock
from tests.support.webhookserver import WebhookServer

GUESTS = range(100, 300)


@pytest.fixture
def core() -> statuses.FakeCore:
    return failing_core()


def job(guest: int) -> JobId:
    return JobId(guest, 0)


async def test_a_dead_node_with_two_hundred_jobs_is_one_message_and_one_when_it_is_back(
    core: statuses.FakeCore, clock: TestClock, hooks: WebhookServer
) -> None:
    core.set_status(*(statuses.failing(f"{guest}-0") for guest in GUESTS))
    async with running(core, clock, target(hooks.port), gather=20.0):
        await core.publish(*(failed(1, job=job(guest)) for guest in GUESTS[:7]))
        await settled(core)
        for consecutive in (1, 2, 3):
            await core.publish(*(failed(consecutive, core.picture.time, job=job(guest)) for guest in GUESTS))
        await settled(core)
        core.set_status(*(statuses.healthy(f"{guest}-0") for guest in GUESTS), now=core.picture.time)
        for guest in GUESTS:
            await core.publish(recovered(core.picture.time, 3, job(guest)))
        await settled(core)
    assert [hook.json["title"] for hook in hooks.seen] == [
        "Guests 100, 101 and 5 more: replication failed (network), to beta",
        "Node beta is back: guests 100, 101 and 198 more",
    ]
    assert "200 jobs replicate to beta" in hooks.seen[0].json["message"]
    assert "Failed runs: 600" in hooks.seen[1].json["message"]


async def test_failures_of_the_same_moment_with_one_cause_are_one_message_also_if_the_daemon_is_stopped_meanwhile(
    core: statuses.FakeCore, clock: TestClock, hooks: WebhookServer
) -> None:
    core.set_status(*(statuses.failing(f"{guest}-0") for guest in GUESTS))
    clock.longest = 1
    async with running(core, clock, target(hooks.port), gather=20.0):
        await core.publish(failed(1, job=job(100)))
        await clock.reached.wait()
    await core.publish(failed(1, job=job(101)))
    clock.longest = float("inf")
    async with running(core, clock, target(hooks.port), gather=20.0):
        await settled(core)
    assert [hook.json["title"] for hook in hooks.seen] == ["Guests 100 and 101: replication failed (network), to beta"]


async def test_a_route_gets_what_it_matches_and_its_all_clear_and_nothing_else(
    core: statuses.FakeCore, clock: TestClock, hooks: WebhookServer
) -> None:
    core.set_status(statuses.failing("100-0"), statuses.failing("101-0", error_class=ErrorClass.ZFS))
    table = {**target(hooks.port), "match": {"guest": 101}}
    async with running(core, clock, table):
        await core.publish(failed(1, job=job(100)), failed(1, job=job(101)))
        await settled(core)
        now = core.picture.time
        core.set_status(statuses.healthy("100-0", now=now), statuses.healthy("101-0", now=now), now=now)
        await core.publish(recovered(now, 1, job(100)), recovered(now, 1, job(101)))
        await settled(core)
    titles = [hook.json["title"] for hook in hooks.seen]
    assert [title.split()[1] for title in titles] == ["101", "101"]
    assert "recovered" in titles[1]


async def test_a_route_for_what_is_critical_hears_nothing_of_a_failure_while_the_promise_holds(
    core: statuses.FakeCore, clock: TestClock, hooks: WebhookServer
) -> None:
    core.set_status(statuses.healthy())
    async with running(core, clock, {**target(hooks.port), "match": {"severity": "critical"}}):
        await core.publish(failed(1), recovered(statuses.NOW + 60, 1))
        await settled(core)
        assert hooks.seen == []
        core.set_status(statuses.failing())
        await core.publish(failed(2))
        await settled(core)
    assert [hook.json["title"].split(":")[0] for hook in hooks.seen] == ["Guest 100 guest-100"]


async def test_quiet_hours_hold_a_message_until_they_are_over(
    core: statuses.FakeCore, clock: TestClock, hooks: WebhookServer
) -> None:
    # it is 08:00 UTC
    async with running(core, clock, {**target(hooks.port), "quiet": "07:00-09:30"}):
        await core.publish(failed(1))
        await settled(core)
    assert len(hooks.seen) == 1
    assert sum(clock.slept) == 5400


async def test_what_is_dropped_in_quiet_hours_is_reported_afterwards_if_it_still_fails(
    core: statuses.FakeCore, clock: TestClock, hooks: WebhookServer
) -> None:
    table = {**target(hooks.port), "quiet": {"window": "07:00-09:30", "mode": "drop"}}
    async with running(core, clock, table):
        await core.publish(failed(1))
        await settled(core)
        assert hooks.seen == []
        core.set_status(statuses.failing(now=statuses.NOW + 7200), now=statuses.NOW + 7200)
        await core.publish(failed(4, statuses.NOW + 7200))
        await settled(core)
    assert len(hooks.seen) == 1


async def test_all_that_still_fails_is_one_message_a_day_at_eight(
    core: statuses.FakeCore, clock: TestClock, hooks: WebhookServer
) -> None:
    classes = (ErrorClass.ZFS, ErrorClass.HOOK, ErrorClass.NO_SPACE)
    jobs = {f"{100 + index}-0": error_class for index, error_class in enumerate(classes)}
    core.set_status(*(statuses.failing(name, error_class=each) for name, each in jobs.items()))
    async with running(core, clock, target(hooks.port)):
        events = [replace(failed(3, job=JobId.parse(name)), error_class=each) for name, each in jobs.items()]
        await core.publish(*events)
        await settled(core)
        assert len(hooks.seen) == 3
        later = statuses.NOW + statuses.DAY + 60
        core.set_status(*(statuses.failing(name, error_class=each) for name, each in jobs.items()), now=later)
        await core.publish(*(replace(event, time=later, consecutive=48) for event in events))
        await settled(core)
    assert [hook.json["title"] for hook in hooks.seen[3:]] == [
        "Guests 100, 101 and 1 more: replication still fails, to beta"
    ]


async def test_a_digest_comes_at_its_time_and_once(
    core: statuses.FakeCore, clock: TestClock, hooks: WebhookServer
) -> None:
    table = {**target(hooks.port), "digest": "daily 08:00"}
    core.set_status(*statuses.many(3))
    async with running(core, clock, table):
        await settled(core)
    later = statuses.NOW + statuses.DAY + 60
    core.set_status(*(statuses.healthy(f"{guest}-0", now=later) for guest in (100, 101, 102)), now=later)
    core.histories = {job(100): JobHistory(96, 2, 5000, 12.0)}
    for _ in range(2):
        async with running(core, clock, table):
            await hooks.wait_for(1)
            await settled(core)
    assert [hook.json["title"] for hook in hooks.seen] == ["All 3 jobs are well on alpha"]
    assert "96 runs, 2 failed · 4.9 KiB · longest 12 seconds" in hooks.seen[0].json["message"]


async def test_a_message_is_sent_again_on_request_under_another_key(
    core: statuses.FakeCore, clock: TestClock, hooks: WebhookServer
) -> None:
    async with running(core, clock, target(hooks.port)):
        await core.publish(failed(1))
        await settled(core)
    core.memory("notify").put("resend/hook-1", "1")
    async with running(core, clock, target(hooks.port)):
        await hooks.wait_for(2)
        await settled(core)
    records = load_log(core.memory("notify"))
    assert [record.name for record in records] == ["hook-2", "hook-1"]
    assert records[0].entry.notice.key == f"{records[1].entry.notice.key}/again-2"
    assert core.memory("notify").items("resend/") == {}
