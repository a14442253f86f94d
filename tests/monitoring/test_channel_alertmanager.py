"""Alerts in a real Alertmanager: raised, renewed, ended by the all-clear, and kept over restarts of either side."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from alerts.channels.alertmanager import ALERT_LIFETIME_SECONDS, ActiveAlerts, AlertmanagerChannel, AlertmanagerSettings
from alerts.notice import Notice, NoticeKind, Severity
from alerts.render.renderer import MessageWriter, Renderer
from alerts.render.samples import sample
from alerts.secrets import Secret
from tests.support import statuses
from tests.support.alertmanager import Alertmanager, alertmanager, hurried
from tests.support.state_records import gone
from tests.support.webhookserver import WebhookServer

pytestmark = pytest.mark.prometheus


@pytest.fixture
async def manager(tmp_path: Path, hooks: WebhookServer) -> AsyncIterator[Alertmanager]:
    async with alertmanager(tmp_path, hurried(hooks.port)) as running:
        yield running


class Clock:
    """The real time, since Alertmanager has it too, and what a test adds to it."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


@pytest.fixture
def clock() -> Clock:
    return Clock()


def channel(url: str, clock: Clock, memory: statuses.FakeMemory | None = None) -> AlertmanagerChannel:
    lasting = ActiveAlerts(memory if memory is not None else statuses.FakeMemory(), "alertmanager/am")
    settings = AlertmanagerSettings(Secret(url), Secret("t0ken"))
    return AlertmanagerChannel(settings, MessageWriter(Renderer(), clock, UTC), lasting)


async def alerts(manager: Alertmanager) -> list[dict[str, Any]]:
    async with ClientSession() as session, session.get(f"{manager.url}/api/v2/alerts") as response:
        found: list[dict[str, Any]] = await response.json()
        return found


def incident(clock: Clock, kind: NoticeKind, jobs: int = 1) -> Notice:
    return replace(sample(kind, jobs=jobs, now=clock()), thread="incident")


async def test_a_failing_job_is_an_alert_as_the_rules_would_raise_it(manager: Alertmanager, clock: Clock) -> None:
    sent = await channel(manager.url, clock).send(incident(clock, NoticeKind.FAILED))
    assert sent.ok, sent.reason
    (alert,) = await alerts(manager)
    assert alert["labels"] == {
        "alertname": "ZsrJobFailing",
        "severity": "warning",
        "instance": "alpha",
        "sender": "zsr",
        "zsr_job": "100-0",
        "guest": "100",
        "source": "alpha",
        "target": "beta",
    }
    assert alert["annotations"]["summary"] == "Guest 100 web: replication failed (network), to beta"
    assert "If alpha died now" in alert["annotations"]["description"]


async def test_a_warning_that_becomes_critical_is_one_alert_and_the_all_clear_ends_it(
    manager: Alertmanager, clock: Clock
) -> None:
    notices = channel(manager.url, clock)
    warning = incident(clock, NoticeKind.FAILED)
    for severity in (Severity.WARNING, Severity.CRITICAL, Severity.CRITICAL):
        await notices.send(replace(warning, severity=severity))
        (alert,) = await alerts(manager)
        assert alert["labels"]["severity"] == severity
    assert (await notices.send(replace(incident(clock, NoticeKind.RECOVERED), closes=False))).ok
    assert await alerts(manager) == []


async def test_a_silent_node_with_broken_promises_is_critical(manager: Alertmanager, clock: Clock) -> None:
    notices = channel(manager.url, clock)
    await notices.send(replace(incident(clock, NoticeKind.TARGET_UNREACHABLE, jobs=2), severity=Severity.CRITICAL))
    assert [alert["labels"]["severity"] for alert in await alerts(manager)] == ["critical"]
    await notices.send(incident(clock, NoticeKind.TARGET_BACK, jobs=2))
    assert await alerts(manager) == []


async def test_the_all_clear_ends_it(manager: Alertmanager, clock: Clock) -> None:
    notices = channel(manager.url, clock)
    await notices.send(incident(clock, NoticeKind.FAILED))
    assert len(await alerts(manager)) == 1
    assert (await notices.send(incident(clock, NoticeKind.RECOVERED))).ok
    assert await alerts(manager) == []


async def test_a_receiver_gets_its_start_and_its_end(manager: Alertmanager, clock: Clock, hooks: WebhookServer) -> None:
    notices = channel(manager.url, clock)
    await notices.send(incident(clock, NoticeKind.RPO_BREACHED))
    await hooks.wait_for(1)
    await notices.send(incident(clock, NoticeKind.RPO_KEPT))
    await hooks.wait_for(2)
    assert [(hook.path, hook.json["status"]) for hook in hooks.seen] == [("/now", "firing"), ("/now", "resolved")]


async def test_a_dead_node_with_200_jobs_is_one_alert(manager: Alertmanager, clock: Clock) -> None:
    notices = channel(manager.url, clock)
    await notices.send(incident(clock, NoticeKind.TARGET_UNREACHABLE, jobs=200))
    assert [alert["labels"]["node"] for alert in await alerts(manager)] == ["beta"]
    await notices.send(incident(clock, NoticeKind.TARGET_BACK, jobs=200))
    assert await alerts(manager) == []


async def test_an_all_clear_ends_all_of_its_thread_though_it_names_fewer(manager: Alertmanager, clock: Clock) -> None:
    notices = channel(manager.url, clock)
    await notices.send(incident(clock, NoticeKind.FAILED, jobs=3))
    await notices.send(replace(incident(clock, NoticeKind.FAILED), thread="another", subjects=_guest(clock, 500)))
    await notices.send(incident(clock, NoticeKind.RECOVERED))
    assert [alert["labels"]["guest"] for alert in await alerts(manager)] == ["500"]


def _guest(clock: Clock, guest: int) -> tuple[Any, ...]:
    return tuple(replace(subject, guest=guest) for subject in sample(NoticeKind.FAILED, jobs=1, now=clock()).subjects)


async def test_a_renewal_moves_the_end_on(manager: Alertmanager, clock: Clock) -> None:
    notices = channel(manager.url, clock)
    await notices.send(incident(clock, NoticeKind.FAILED))
    (before,) = await alerts(manager)
    clock.ahead = ALERT_LIFETIME_SECONDS
    assert await notices.renew_once(statuses.status(statuses.failing()))
    (after,) = await alerts(manager)
    assert after["endsAt"] > before["endsAt"]
    assert after["startsAt"] == before["startsAt"]


async def test_after_a_restart_of_the_daemon_alerts_are_renewed_and_ended(manager: Alertmanager, clock: Clock) -> None:
    memory = statuses.FakeMemory()
    await channel(manager.url, clock, memory).send(incident(clock, NoticeKind.FAILED))
    again = channel(manager.url, clock, memory)
    assert await again.renew_once(statuses.status(statuses.failing()))
    await again.send(incident(clock, NoticeKind.RECOVERED))
    assert await alerts(manager) == []
    assert memory.notes == {}


async def test_an_alertmanager_that_lost_its_alerts_gets_them_again(
    tmp_path: Path, clock: Clock, hooks: WebhookServer
) -> None:
    memory = statuses.FakeMemory()
    for number in range(2):
        async with alertmanager(tmp_path / str(number), hurried(hooks.port)) as manager:
            notices = channel(manager.url, clock, memory)
            if number == 0:
                await notices.send(incident(clock, NoticeKind.FAILED))
            else:
                assert await alerts(manager) == []
                await notices.renew_once(statuses.status(statuses.failing()))
            assert len(await alerts(manager)) == 1


async def test_the_alert_of_a_job_that_is_gone_ends(manager: Alertmanager, clock: Clock) -> None:
    notices = channel(manager.url, clock)
    await notices.send(incident(clock, NoticeKind.FAILED))
    await notices.renew_once(replace(statuses.status(), ready=False))
    assert len(await alerts(manager)) == 1, "a daemon that has not read its cluster yet knows of no jobs"
    await notices.renew_once(statuses.status())
    assert await alerts(manager) == []


async def test_the_alert_of_a_promise_that_is_kept_again_ends_though_no_notice_says_so(
    manager: Alertmanager, clock: Clock
) -> None:
    notices = channel(manager.url, clock)
    await notices.send(incident(clock, NoticeKind.RPO_BREACHED))
    await notices.renew_once(statuses.status(statuses.failing()))
    assert len(await alerts(manager)) == 1
    await notices.renew_once(statuses.status(statuses.healthy()))
    assert await alerts(manager) == []


async def test_a_lost_replica_is_a_critical_alert_of_its_own_until_its_all_clear(
    manager: Alertmanager, clock: Clock
) -> None:
    notices = channel(manager.url, clock)
    await notices.send(incident(clock, NoticeKind.REPLICA_LOST))
    await notices.renew_once(statuses.status(statuses.lost()))
    (alert,) = await alerts(manager)
    assert (alert["labels"]["alertname"], alert["labels"]["severity"]) == ("ZsrReplicaLost", "critical")
    await notices.send(incident(clock, NoticeKind.REPLICA_BACK))
    assert await alerts(manager) == []


async def test_the_alert_of_vanished_volumes_ends_when_no_replica_of_one_is_kept_any_more(
    manager: Alertmanager, clock: Clock
) -> None:
    notices, job = channel(manager.url, clock), statuses.healthy()
    await notices.send(incident(clock, NoticeKind.VOLUMES_VANISHED))
    kept = replace(job, state=replace(job.state, vanished=gone("tank/vm-100-disk-1")))
    await notices.renew_once(statuses.status(kept))
    assert [alert["labels"]["alertname"] for alert in await alerts(manager)] == ["ZsrVolumesVanished"]
    await notices.renew_once(statuses.status(job))
    assert await alerts(manager) == []


async def test_a_target_that_takes_messages_again_ends_its_alert(manager: Alertmanager, clock: Clock) -> None:
    notices = channel(manager.url, clock)
    await notices.send(incident(clock, NoticeKind.UNDELIVERED))
    (alert,) = await alerts(manager)
    assert (alert["labels"]["alertname"], alert["labels"]["target"]) == ("ZsrNotificationsFailing", "phone")
    again = replace(incident(clock, NoticeKind.RECOVERED, jobs=0), about="phone", thread="other")
    assert (await notices.send(again)).ok
    assert await alerts(manager) == []


@pytest.mark.parametrize("kind", [NoticeKind.DIGEST, NoticeKind.ALERTMANAGER])
async def test_what_is_no_state_or_came_from_there_is_not_sent_there(
    hooks: WebhookServer, clock: Clock, kind: NoticeKind
) -> None:
    assert (await channel(f"http://127.0.0.1:{hooks.port}", clock).send(incident(clock, kind))).ok
    assert hooks.seen == []


async def test_a_token_goes_along_and_a_refusal_is_remembered_as_nothing(hooks: WebhookServer, clock: Clock) -> None:
    hooks.statuses = [503]
    memory = statuses.FakeMemory()
    sent = await channel(f"http://127.0.0.1:{hooks.port}", clock, memory).send(incident(clock, NoticeKind.FAILED))
    assert not sent.ok
    assert not sent.permanent
    assert memory.notes == {}
    assert hooks.seen[0].headers["Authorization"] == "Bearer t0ken"
    assert "t0ken" not in repr(sent)


def test_damaged_notes_are_none(clock: Clock) -> None:
    memory = statuses.FakeMemory({"alertmanager/am": '[{"labels": 1}]'})
    lasting = ActiveAlerts(memory, "alertmanager/am")
    lasting.load()
    assert lasting.alerts == {}
