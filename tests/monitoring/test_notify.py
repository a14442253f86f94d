"""The plugin from journal to server: what arrives, how often, after which waits, over restarts and beside hangers."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace

import pytest

from alerts.delivery.outbox import BACKOFF_SECONDS
from alerts.delivery.store import load_log
from replicator.api.status import JobHistory
from replicator.errors import ErrorClass
from replicator.events import JobRemoved
from replicator.models import JobId
from tests.support import statuses
from tests.support.mailserver import hanging_server
from tests.support.notify import HALF_HOUR, JOB, counts, failed, recovered, running, settled
from tests.support.notify_clock import TestClock, WatchedMemory
from tests.support.webhookserver import WebhookServer, webhook_server


@pytest.fixture
async def hooks() -> AsyncIterator[WebhookServer]:
    async with webhook_server() as server:
        yield server


@pytest.fixture
def core() -> statuses.FakeCore:
    core = statuses.FakeCore()
    core.set_status(statuses.failing())
    core.memories["notify"] = WatchedMemory()
    return core


@pytest.fixture
def clock(core: statuses.FakeCore) -> TestClock:
    return TestClock(core)


def target(port: int, name: str = "hook", extra: str = "") -> dict[str, object]:
    return {"name": name, "url": f"json://127.0.0.1:{port}/{name}{extra}"}


async def written(core: statuses.FakeCore, holds: Callable[[], bool]) -> None:
    """Wait until something holds, looking whenever notes are written."""
    memory = core.memories["notify"]
    assert isinstance(memory, WatchedMemory)
    async with asyncio.timeout(20):
        while not holds():
            memory.written.clear()
            await memory.written.wait()


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
    assert "well again" in titles[-1]
    assert "Failed runs: 51" in hooks.seen[-1].json["message"]


async def test_the_last_failure_that_is_told_at_once_says_what_follows(
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
    assert ["From now on" in text for text in said["hook"]] == [False, True]
    assert "it is told when it is well again" in said["hook"][1]
    assert ["in the reminder of all that still fails" in text for text in said["other"]] == [False, False, True]


async def test_a_flapping_job_is_told_once_and_once_when_it_has_settled_also_over_restarts(
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
        "replication is well again, to beta",
        "replication failed",
        "replication is well again, to beta",
        "replication fails again and again",
        "replication is well again, to beta",
    ]
    assert "single failures and recoveries are not told" in hooks.seen[4].json["message"]
    assert "Failed runs: 6" in hooks.seen[5].json["message"]
    assert "comes late" not in hooks.seen[5].json["message"]


async def test_history_from_before_the_first_start_is_not_told(
    core: statuses.FakeCore, clock: TestClock, hooks: WebhookServer
) -> None:
    await core.publish(failed(1), failed(2))
    async with running(core, clock, target(hooks.port)):
        await core.publish(failed(3))
        await settled(core)
    assert len(hooks.seen) == 1


async def test_what_happens_while_the_daemon_is_down_is_told_when_it_is_back(
    core: statuses.FakeCore, clock: TestClock, hooks: WebhookServer
) -> None:
    async with running(core, clock, target(hooks.port)):
        pass
    await core.publish(failed(1))
    async with running(core, clock, target(hooks.port)):
        await settled(core)
    assert len(hooks.accepted) == 1


async def test_a_restart_after_delivery_tells_nothing_again(
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


async def test_a_message_undelivered_for_a_day_is_given_up_loudly_and_the_other_targets_are_told(
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


GUESTS = range(100, 300)


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


async def test_a_route_is_told_what_it_matches_and_its_all_clear_and_no_other(
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
    assert "well again" in titles[1]


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


async def test_what_is_dropped_in_quiet_hours_is_told_afterwards_if_it_still_fails(
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
        events = [replace(failed(1, job=JobId.parse(name)), error_class=each) for name, each in jobs.items()]
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


async def test_a_message_is_sent_again_when_somebody_asks_for_it_under_another_key(
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


SECRETS = ("hunter-one", "p4ssw0rd!", "t0ken-in-path", "t0ken-in-query", "t0ken-in-header", "t0ken-in-field")


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
    assert "did not take" in kept
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
