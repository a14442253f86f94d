"""The plugin from journal to webhook: what arrives of failures and recoveries, also over restarts."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest

from alerts.plugin import AlertsPlugin
from replicator.errors import ErrorClass
from tests.support import statuses
from tests.support.notify import (
    HALF_HOUR,
    counts,
    failed,
    failing_core,
    recovered,
    running,
    settled,
    target,
    written,
)
from tests.support.notify_clock import TestClock
from tests.support.webhookserver import WebhookServer


@pytest.fixture
def core() -> statuses.FakeCore:
    return failing_core()


async def test_a_failure_reaches_a_webhook_with_title_text_and_kind(
    core: statuses.FakeCore, clock: TestClock, hooks: WebhookServer
) -> None:
    async with running(core, clock, target(hooks.port)):
        await core.publish(failed(1))
        await settled(core)
    (hook,) = hooks.seen
    assert hook.json["title"].startswith("Guest 100 guest-100: replication failed (network)")
    assert "If alpha died now: guest 100 guest-100 would fall back to" in hook.json["message"]
    assert hook.json["type"] == "failure"


async def test_failures_one_to_three_then_the_all_clear(
    core: statuses.FakeCore, clock: TestClock, hooks: WebhookServer
) -> None:
    async with running(core, clock, target(hooks.port)):
        await core.publish(*(failed(number, statuses.NOW + HALF_HOUR * number) for number in range(1, 52)))
        await core.publish(recovered(statuses.NOW + HALF_HOUR * 52, 51))
        await settled(core)
    titles = [hook.json["title"] for hook in hooks.seen]
    assert ["fail" in title for title in titles] == [True, True, True, False]
    assert "recovered" in titles[-1]
    assert "Failed runs: 51" in hooks.seen[-1].json["message"]


async def test_the_last_failure_that_is_reported_at_once_says_what_follows(
    core: statuses.FakeCore, clock: TestClock, hooks: WebhookServer
) -> None:
    table = {**target(hooks.port), "repeat": {"failures": [1, 2], "then": "off"}}
    async with running(core, clock, table, target(hooks.port, "other")):
        await core.publish(*(failed(number) for number in (1, 2, 3)))
        await settled(core)
        await settled(core, "other")
    said = {
        name: [hook.json["message"] for hook in hooks.seen if hook.path == f"/{name}"] for name in ("hook", "other")
    }
    assert ["The next message comes when it has recovered." in text for text in said["hook"]] == [False, True]
    assert "reminder" not in said["hook"][1]
    assert ["in the reminder of all that still fails" in text for text in said["other"]] == [False, False, True]


async def test_a_flapping_job_is_reported_once_and_once_when_it_has_settled_also_over_restarts(
    core: statuses.FakeCore, clock: TestClock, hooks: WebhookServer
) -> None:
    for number in range(6):
        now = statuses.NOW + HALF_HOUR * number
        core.set_status(statuses.failing(error_class=ErrorClass.ZFS, now=now), now=now)
        async with running(core, clock, target(hooks.port)):
            await core.publish(replace(failed(1, now), error_class=ErrorClass.ZFS))
            await settled(core)
            core.set_status(statuses.healthy(now=now + 60), now=now + 60)
            await core.publish(recovered(now + 60, 1))
            await settled(core)
    later = statuses.NOW + HALF_HOUR * 5 + 3 * 3600
    core.set_status(statuses.healthy(now=later), now=later)
    async with running(core, clock, target(hooks.port)):
        await hooks.wait_for(6)
        await settled(core)
    assert [hook.json["title"].partition(": ")[2].partition(" (")[0] for hook in hooks.seen] == [
        "replication failed",
        "replication recovered, to beta",
        "replication failed",
        "replication recovered, to beta",
        "replication fails again and again",
        "replication recovered, to beta",
    ]
    assert "single failures and recoveries are not reported" in hooks.seen[4].json["message"]
    assert "Failed runs: 6" in hooks.seen[5].json["message"]
    assert "comes late" not in hooks.seen[5].json["message"]


async def test_history_from_before_the_first_start_is_not_reported(
    core: statuses.FakeCore, clock: TestClock, hooks: WebhookServer
) -> None:
    await core.publish(failed(1), failed(2))
    async with running(core, clock, target(hooks.port)):
        await core.publish(failed(3))
        await settled(core)
    assert len(hooks.seen) == 1


async def test_what_happens_while_the_daemon_is_down_is_reported_when_it_is_back(
    core: statuses.FakeCore, clock: TestClock, hooks: WebhookServer
) -> None:
    async with running(core, clock, target(hooks.port)):
        pass
    await core.publish(failed(1))
    async with running(core, clock, target(hooks.port)):
        await settled(core)
    assert len(hooks.accepted) == 1


async def test_a_restart_after_delivery_reports_nothing_again(
    core: statuses.FakeCore, clock: TestClock, hooks: WebhookServer
) -> None:
    for _ in range(3):
        async with running(core, clock, target(hooks.port)):
            if core.last_event() == 0:
                await core.publish(failed(1), failed(2))
            await settled(core)
    assert len(hooks.seen) == 2


async def test_a_daemon_stopped_between_two_attempts_delivers_once_after_its_restart(
    core: statuses.FakeCore, clock: TestClock, hooks: WebhookServer
) -> None:
    hooks.statuses = [500, 200]
    clock.longest = 1
    async with running(core, clock, target(hooks.port)):
        await core.publish(failed(1))
        await clock.reached.wait()
    clock.longest = float("inf")
    async with running(core, clock, target(hooks.port)):
        await settled(core)
    assert (hooks.answers, len(hooks.accepted)) == ([500, 200], 1)


async def test_a_message_that_is_just_going_out_at_the_stop_is_noted_and_not_sent_again(
    core: statuses.FakeCore, clock: TestClock, hooks: WebhookServer
) -> None:
    hooks.answer.clear()
    async with running(core, clock, target(hooks.port)):
        await core.publish(failed(1))
        await hooks.wait_for(1)
        asyncio.get_running_loop().call_later(0.2, hooks.answer.set)
    async with running(core, clock, target(hooks.port)):
        await settled(core)
    assert len(hooks.seen) == 1
    assert counts(core)["hook"] == {"success": 1, "failure": 0, "undelivered": 0}


async def test_events_that_were_lost_unread_are_said(
    core: statuses.FakeCore, clock: TestClock, hooks: WebhookServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(core, clock, target(hooks.port)):
        pass
    core.first_event = lambda: 50  # type: ignore[method-assign]
    core.journal.extend([failed(1)] * 60)
    async with running(core, clock, target(hooks.port)):
        await settled(core)
    assert "events in between were pruned before they could be delivered" in caplog.text
    assert counts(core)["hook"]["undelivered"] == 1


async def test_a_damaged_state_of_a_target_counts_as_a_message_that_was_lost(
    core: statuses.FakeCore, clock: TestClock, hooks: WebhookServer
) -> None:
    core.memory("notify").put("target/hook", "{")
    async with running(core, clock, target(hooks.port)):
        await settled(core)
    async with running(core, clock, target(hooks.port)):
        await settled(core)
    assert counts(core)["hook"]["undelivered"] == 1


async def test_which_targets_are_used_is_noted(core: statuses.FakeCore, clock: TestClock, hooks: WebhookServer) -> None:
    plugin = AlertsPlugin(sleep=clock.sleep, channels=lambda target, context: None)
    sections = {"notify": [target(hooks.port), {"name": "phone", "url_file": "/nowhere/url"}]}
    work = asyncio.create_task(plugin.run(core, sections))
    await written(core, lambda: core.memory("notify").get("usable") is not None)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    used = json.loads(core.memory("notify").get("usable") or "")
    assert used["hook"] is False
    assert [name for name in used if name.startswith("notify")], "the key of the setting that is wrong"


async def test_a_worker_that_ends_unexpectedly_counts_as_a_failure_of_its_target(
    core: statuses.FakeCore, clock: TestClock, hooks: WebhookServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(self: object) -> None:
        raise LookupError("unexpected")

    monkeypatch.setattr("alerts.delivery.target_worker.TargetWorker.run", broken)
    async with running(core, clock, target(hooks.port)):
        await written(core, lambda: counts(core).get("hook", {}).get("failure", 0) > 0)
