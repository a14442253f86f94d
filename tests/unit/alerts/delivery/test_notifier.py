"""The notifier: which events no target needs any more, and notices that concern several targets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC

import pytest

from alerts.channels.base import SendStatus, Sent
from alerts.delivery.context import DeliveryContext
from alerts.delivery.notifier import Notifier
from alerts.delivery.store import Counters
from alerts.foreign import Foreign
from alerts.notice import Notice, NoticeKind, Severity
from alerts.routing.routes import Match, Route
from replicator.api.plugin import READ_TO
from replicator.api.status import Status
from tests.support import statuses
from tests.support.notify import failed

NOW = statuses.NOW
PEER = Notice("alertmanager/1", NoticeKind.ALERTMANAGER, Severity.WARNING, NOW, "alpha", "t", foreign=Foreign("a", "b"))
EVERYTHING = Route()
CRITICAL_ONLY = Route(Match(severity=frozenset({Severity.CRITICAL})))


@dataclass
class Recorder:
    """A channel that delivers everything at once."""

    sent: list[Notice] = field(default_factory=list)

    async def send(self, notice: Notice) -> Sent:
        self.sent.append(notice)
        return Sent(SendStatus.DELIVERED, "", 0.0)


def notifier(core: statuses.FakeCore, **routes: Route) -> tuple[Notifier, dict[str, Recorder]]:
    store = core.memory("notify")
    context = DeliveryContext(
        core, "alpha", store, Counters(store, routes), lambda: core.picture.time, asyncio.sleep, UTC, 0.0
    )
    made, channels = Notifier(context), {name: Recorder() for name in routes}
    for name, route in routes.items():
        made.add(name, channels[name], route)
    return made, channels


@asynccontextmanager
async def running(core: statuses.FakeCore, **routes: Route) -> AsyncIterator[tuple[Notifier, dict[str, Recorder]]]:
    made, channels = notifier(core, **routes)
    tasks = [asyncio.create_task(worker.run()) for worker in made.workers]
    await asyncio.sleep(0.01)
    try:
        yield made, channels
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def test_without_targets_no_journal_is_read() -> None:
    made, _ = notifier(statuses.FakeCore())
    assert made.workers == ()


def test_all_events_are_needed_until_every_target_has_started() -> None:
    made, _ = notifier(statuses.FakeCore(), mail=EVERYTHING)
    assert made.read_to() == "0"


async def test_events_that_every_target_has_processed_are_needed_no_more() -> None:
    core = statuses.FakeCore()
    async with running(core, mail=EVERYTHING, chat=EVERYTHING):
        await core.publish(failed(1))
        await asyncio.sleep(0.05)
        assert core.memory("notify").get(READ_TO) == "1"


async def test_an_external_notice_goes_to_the_targets_whose_routes_want_it() -> None:
    async with running(statuses.FakeCore(), mail=EVERYTHING, pager=CRITICAL_ONLY) as (made, channels):
        await made.accept(PEER)
        await asyncio.sleep(0.05)
        assert ([each.key for each in channels["mail"].sent], channels["pager"].sent) == ([PEER.key], [])


async def test_an_external_notice_is_on_disk_when_it_is_accepted() -> None:
    core = statuses.FakeCore()
    async with running(core, mail=EVERYTHING, chat=EVERYTHING) as (made, _):
        await made.accept(PEER)
        stored = [json.loads(core.memory("notify").get(f"target/{name}") or "") for name in ("mail", "chat")]
        assert [each["entries"][0]["notice"]["key"] for each in stored] == [PEER.key, PEER.key]


async def test_an_external_notice_is_refused_before_the_targets_have_started() -> None:
    made, _ = notifier(statuses.FakeCore(), mail=EVERYTHING)
    with pytest.raises(OSError, match="have not started yet"):
        await made.accept(PEER)


async def test_a_message_is_decided_and_worded_from_one_status(monkeypatch: pytest.MonkeyPatch) -> None:
    core = statuses.FakeCore()
    read: list[Status] = []

    def status() -> Status:
        read.append(core.picture)
        return core.picture

    async with running(core, mail=EVERYTHING) as (_, channels):
        monkeypatch.setattr(core, "status", status)
        await core.publish(failed(1))
        await asyncio.sleep(0.05)
    assert [each.kind for each in channels["mail"].sent] == [NoticeKind.FAILED]
    assert len(read) == 1
