"""Deliveries that fail: when they are tried again, what the other targets get, and that no secret is logged."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from dataclasses import replace

import pytest

from alerts.delivery.outbox import BACKOFF_SECONDS
from replicator.events import JobRemoved
from tests.support import statuses
from tests.support.mailserver import hanging_server
from tests.support.notify import (
    JOB,
    counts,
    failed,
    failing_core,
    running,
    settled,
    target,
    written,
)
from tests.support.notify_clock import TestClock
from tests.support.webhookserver import WebhookServer, webhook_server

SECRETS = ("hunter-one", "p4ssw0rd!", "t0ken-in-path", "t0ken-in-query", "t0ken-in-header", "t0ken-in-field")


@pytest.fixture
def core() -> statuses.FakeCore:
    return failing_core()


async def test_a_failed_delivery_is_tried_again_by_the_ladder_and_arrives_once(
    core: statuses.FakeCore, clock: TestClock, hooks: WebhookServer
) -> None:
    hooks.statuses = [500, 503, 500, 500, 500, 500, 200]
    async with running(core, clock, target(hooks.port)):
        await core.publish(failed(1))
        await settled(core)
    assert sum(clock.slept) == sum([*BACKOFF_SECONDS, BACKOFF_SECONDS[-1]])
    assert len(hooks.accepted) == 1
    assert counts(core)["hook"] == {"success": 1, "failure": 6, "undelivered": 0}


async def test_a_message_undelivered_for_a_day_is_given_up_loudly_and_the_other_targets_are_notified(
    core: statuses.FakeCore, clock: TestClock, hooks: WebhookServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with webhook_server() as broken:
        broken.statuses = [500]
        async with running(core, clock, target(broken.port, "broken"), target(hooks.port)):
            await core.publish(failed(1))
            await written(core, lambda: counts(core)["broken"]["undelivered"] == 1)
            assert sum(clock.slept) == pytest.approx(24 * 3600, abs=3600)
            broken.statuses = [200]
            await written(core, lambda: counts(core)["broken"]["success"] > 0)
            await settled(core)
    assert any("GAVE UP" in record.message for record in caplog.records if record.levelno == logging.ERROR)
    titles = [hook.json["title"] for hook in hooks.accepted]
    assert "Messages to 'broken' do not arrive, from alpha" in titles
    assert titles[-1] == "Messages to 'broken' arrive again, from alpha"
    assert titles.count(titles[-1]) == 1


async def test_a_page_that_was_given_up_is_made_again_while_its_promise_is_broken(
    core: statuses.FakeCore, clock: TestClock, hooks: WebhookServer
) -> None:
    hooks.statuses = [500]
    async with running(core, clock, {**target(hooks.port), "match": {"event": "rpo-breached"}}):
        await core.publish(failed(1))
        await settled(core)
        core.picture = replace(core.picture, time=core.picture.time + 200)
        await core.publish(failed(2, core.picture.time))
        await written(core, lambda: counts(core)["hook"]["undelivered"] == 1)
        hooks.statuses = [200]
        await core.publish(failed(3, core.picture.time))  # it looks each minute, or when something happens
        await written(core, lambda: counts(core)["hook"]["success"] == 1)
        await settled(core)
    assert "promise broken" in hooks.accepted[0].json["title"]


async def test_a_late_message_says_when_it_happened(
    core: statuses.FakeCore, clock: TestClock, hooks: WebhookServer
) -> None:
    hooks.statuses = [500, 500, 500, 200]
    async with running(core, clock, target(hooks.port)):
        await core.publish(failed(1))
        await settled(core)
    assert "comes late" not in hooks.seen[0].json["message"]
    assert "comes late" in hooks.seen[-1].json["message"]


async def test_a_redirect_is_a_failure_and_is_not_followed(
    core: statuses.FakeCore, clock: TestClock, hooks: WebhookServer
) -> None:
    hooks.statuses = [302, 200]
    async with running(core, clock, target(hooks.port, extra="?redirect=yes")):
        await core.publish(failed(1))
        await settled(core)
    assert [hook.path for hook in hooks.seen] == ["/hook", "/hook"]
    assert counts(core)["hook"] == {"success": 1, "failure": 1, "undelivered": 0}


async def test_an_optional_target_that_fails_is_still_a_failure(
    core: statuses.FakeCore, clock: TestClock, hooks: WebhookServer
) -> None:
    hooks.statuses = [500, 200]
    async with running(core, clock, target(hooks.port, extra="?optional=yes")):
        await core.publish(failed(1))
        await settled(core)
    assert counts(core)["hook"] == {"success": 1, "failure": 1, "undelivered": 0}


async def test_a_hanging_target_delays_no_other(
    core: statuses.FakeCore, clock: TestClock, hooks: WebhookServer
) -> None:
    async with hanging_server() as port:
        hangers = [target(port, f"hang-{number}", "?rto=5&cto=5") for number in range(12)]
        async with running(core, clock, *hangers, target(hooks.port)):
            await core.publish(failed(1))
            await asyncio.wait_for(settled(core), 3)
            assert len(hooks.accepted) == 1


async def test_an_attempt_beyond_the_limit_fails_and_is_not_started_twice_while_it_hangs(
    core: statuses.FakeCore, clock: TestClock, hooks: WebhookServer
) -> None:
    hooks.answer.clear()
    clock.longest = 4  # the pause after the third attempt
    async with running(core, clock, target(hooks.port, extra="?rto=30"), send_limit=0.2):
        await core.publish(failed(1))
        await clock.reached.wait()
        assert len(hooks.seen) == 1
        assert counts(core)["hook"] == {"success": 0, "failure": 3, "undelivered": 0}
        hooks.answer.set()


async def test_an_attempt_that_gets_through_after_its_limit_is_not_sent_again(
    core: statuses.FakeCore, clock: TestClock, hooks: WebhookServer
) -> None:
    hooks.answer.clear()
    clock.longest = 1
    async with running(core, clock, target(hooks.port, extra="?rto=30"), send_limit=0.2):
        await core.publish(failed(1))
        await clock.reached.wait()
        hooks.answer.set()
        clock.go_on.set()
        await settled(core)
    assert len(hooks.seen) == 1
    assert counts(core)["hook"]["success"] == 1


async def test_every_configured_target_is_counted_from_zero(
    core: statuses.FakeCore, clock: TestClock, hooks: WebhookServer
) -> None:
    async with running(core, clock, target(hooks.port), target(hooks.port, "other")):
        assert counts(core) == {name: {"success": 0, "failure": 0, "undelivered": 0} for name in ("hook", "other")}


async def test_a_target_that_comes_back_is_not_sent_what_it_missed(
    core: statuses.FakeCore, clock: TestClock, hooks: WebhookServer
) -> None:
    off = {**target(hooks.port), "enabled": False}
    async with running(core, clock, target(hooks.port)):
        pass
    async with running(core, clock, off):
        await core.publish(failed(1))
    async with running(core, clock, target(hooks.port)):
        await core.publish(failed(2))
        await settled(core)
    assert len(hooks.seen) == 1


async def test_a_removed_job_is_forgotten(core: statuses.FakeCore, clock: TestClock, hooks: WebhookServer) -> None:
    async with running(core, clock, target(hooks.port)):
        await core.publish(failed(1), JobRemoved(statuses.NOW + 1, JOB))
        await settled(core)
    assert json.loads(core.memory("notify").get("target/hook") or "{}")["incidents"] == {}


async def test_a_full_disk_under_the_notes_sends_nothing_twice(
    core: statuses.FakeCore, clock: TestClock, hooks: WebhookServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(core, clock, target(hooks.port)):
        memory = core.memories["notify"]
        full, write = [True], memory.put_all

        def put_all(notes: Mapping[str, str | None]) -> None:
            if full and "counters" in notes:
                full.pop()
                raise OSError(28, "No space left on device")
            write(notes)

        monkeypatch.setattr(memory, "put_all", put_all)
        await core.publish(failed(1))
        await settled(core)
        assert memory.get("target/hook") is not None
    assert len(hooks.seen) == 1


@pytest.mark.parametrize("statuses_given", [[500], [302], [404]])
async def test_no_secret_of_a_failing_delivery_is_logged_or_kept(
    core: statuses.FakeCore,
    clock: TestClock,
    hooks: WebhookServer,
    caplog: pytest.LogCaptureFixture,
    statuses_given: list[int],
) -> None:
    caplog.set_level(0)
    hooks.statuses = statuses_given
    clock.longest = 2
    url = (
        f"json://hunter-one:p4ssw0rd%21@127.0.0.1:{hooks.port}/t0ken-in-path"
        "?-key=t0ken-in-query&+X-Token=t0ken-in-header&:field=t0ken-in-field"
    )
    async with running(core, clock, {"name": "hook", "url": url}):
        await core.publish(failed(1))
        await clock.reached.wait()
    seen = hooks.seen[0]
    assert seen.path == "/t0ken-in-path?key=t0ken-in-query", "the secrets did go to the server"
    assert (seen.headers["X-Token"], seen.json["field"]) == ("t0ken-in-header", "t0ken-in-field")
    kept = caplog.text + json.dumps(core.memories["notify"].notes)
    assert "did not accept" in kept
    assert [secret for secret in SECRETS if secret in kept] == []


async def test_no_secret_of_a_refused_connection_is_logged(
    core: statuses.FakeCore, clock: TestClock, unused_tcp_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    clock.longest = 1
    url = f"json://hunter-one:p4ssw0rd%21@127.0.0.1:{unused_tcp_port}/t0ken-in-path?+X-Token=t0ken-in-header"
    async with running(core, clock, {"name": "hook", "url": url}):
        await core.publish(failed(1))
        await clock.reached.wait()
    assert "The connection was refused" in caplog.text
    assert [secret for secret in SECRETS if secret in caplog.text] == []
