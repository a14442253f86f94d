"""The receiver of Alertmanager's webhooks: a real Alertmanager posts to it, and others try what they should not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from alerts.inbound.alertmanager_webhook import Receiver, ReceiverSettings, read_receiver, receiving
from alerts.notice import Notice
from alerts.secrets import Secret
from demo.servers import free_port
from replicator.errors import ConfigError
from tests.support.alertmanager import alertmanager
from tests.support.alertmanager_posts import alert, post

TOKEN = "t0ken-of-the-receiver"


class Inbox:
    """Takes notices, and cannot when it is full; ``now`` is the receiver's time."""

    def __init__(self) -> None:
        self.notices: asyncio.Queue[Notice] = asyncio.Queue()
        self.full = False
        self.now = 1_800_000_000.0
        self.url = ""

    async def take(self, notice: Notice) -> None:
        if self.full:
            raise OSError(28, "No space left on device")
        self.notices.put_nowait(notice)

    async def post(self, body: object, token: str = TOKEN) -> int:
        async with (
            ClientSession(headers={"Authorization": f"Bearer {token}"}) as session,
            session.post(self.url, **({"data": body} if isinstance(body, bytes) else {"json": body})) as response,
        ):
            assert (await response.json())["status"] in {"ok", "error"}
            return response.status


@pytest.fixture
async def inbox() -> AsyncIterator[Inbox]:
    box = Inbox()
    settings = ReceiverSettings("127.0.0.1", free_port(), Secret(TOKEN))
    async with receiving(settings, Receiver("alpha", settings.token, box.take, lambda: box.now)) as url:
        box.url = url
        yield box


@pytest.mark.prometheus
async def test_what_a_real_alertmanager_posts_becomes_notices(inbox: Inbox, tmp_path: Path) -> None:
    hook = {"url": inbox.url, "send_resolved": True, "http_config": {"authorization": {"credentials": TOKEN}}}
    settings: dict[str, Any] = {
        "route": {"receiver": "zsr", "group_by": ["alertname"], "group_wait": "1s", "group_interval": "1s"},
        "receivers": [{"name": "zsr", "webhook_configs": [hook]}],
    }
    async with alertmanager(tmp_path, settings) as manager:
        await manager.fire([{"alertname": "DiskFull", "severity": "critical", "instance": "host1"}])
        async with asyncio.timeout(20):
            firing = await inbox.notices.get()
        ended = {"labels": {"alertname": "DiskFull", "severity": "critical", "instance": "host1"}}
        body = [ended | {"startsAt": "2026-01-01T00:00:00Z", "endsAt": "2026-01-02T00:00:00Z"}]
        async with ClientSession() as session, session.post(f"{manager.url}/api/v2/alerts", json=body) as response:
            assert response.status == 200
        async with asyncio.timeout(20):
            resolved = await inbox.notices.get()
    assert firing.foreign is not None
    assert (firing.foreign.title, firing.closes) == ("Firing: DiskFull on host1", False)
    assert (resolved.closes, resolved.thread) == (True, firing.thread)


@pytest.mark.parametrize("token", ["", "wrong", TOKEN.upper(), TOKEN + "x"])
async def test_who_has_no_token_is_refused(inbox: Inbox, token: str) -> None:
    assert await inbox.post(post(alert()), token) == 401
    assert inbox.notices.empty()


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000, {}, {"version": "3"}, post({"status": "firing"})])
async def test_what_is_no_post_of_alertmanagers_is_refused_with_a_reason(inbox: Inbox, body: object) -> None:
    assert await inbox.post(body) == 400
    assert inbox.notices.empty()


async def test_a_post_that_cannot_be_kept_is_asked_for_again_and_comes_once(inbox: Inbox) -> None:
    inbox.full = True
    assert await inbox.post(post(alert())) == 503
    inbox.full = False
    inbox.now += 10
    assert [await inbox.post(post(alert())) for _ in range(2)] == [200, 200]
    assert inbox.notices.get_nowait().key == inbox.notices.get_nowait().key


async def test_a_reminder_hours_later_is_a_message_of_its_own(inbox: Inbox) -> None:
    await inbox.post(post(alert()))
    inbox.now += 14_400
    await inbox.post(post(alert()))
    assert inbox.notices.get_nowait().key != inbox.notices.get_nowait().key


async def test_a_port_that_is_taken_is_reported(inbox: Inbox) -> None:
    port = int(inbox.url.split(":")[2].split("/")[0])
    settings = ReceiverSettings("127.0.0.1", port, Secret(TOKEN))
    with pytest.raises(ConfigError, match=r"notify_receiver\.listen: cannot listen"):
        async with receiving(settings, Receiver("alpha", settings.token, inbox.take, lambda: 0.0)):
            pass


def test_no_section_is_no_receiver() -> None:
    assert read_receiver(None, {}) == (None, [])


def test_settings_that_are_right() -> None:
    section = {"listen": "[::1]:9848", "token": "env:T"}
    assert read_receiver(section, {"T": TOKEN}) == (ReceiverSettings("::1", 9848, Secret(TOKEN, "env:T")), [])


@pytest.mark.parametrize(
    "listen", [None, 9848, "9848", "localhost:9848", "127.0.0.1:0", "127.0.0.1:99999", "300.1.1.1:1"]
)
def test_an_address_that_is_none_is_a_problem(listen: object) -> None:
    _, problems = read_receiver({"listen": listen, "token": TOKEN}, {})
    assert [problem.key for problem in problems] == ["listen"]


def test_all_that_is_wrong_is_reported_at_once_and_no_secret_of_it() -> None:
    _, problems = read_receiver({"listen": 1, "tokn": TOKEN}, {})
    assert [problem.key for problem in problems] == ["(unknown key)", "listen", "token"]
    assert TOKEN not in "".join(map(str, problems))
