"""apprise as a channel, before real servers: each of its traps (reference/monitoring.md 6.1) is disarmed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from datetime import UTC

import apprise
import pytest

from alerts.channels.apprise import AppriseChannel, make_service, notify_type
from alerts.channels.base import SendStatus
from alerts.notice import NoticeKind
from alerts.redaction import RedactingFilter, guarded_logs, secrets_of
from alerts.render.renderer import MessageWriter, Renderer
from alerts.render.samples import sample
from tests.support.mailserver import hanging_server
from tests.support.webhookserver import WebhookServer

NOW = 1_800_000_000.0
FAILED = sample(NoticeKind.FAILED, now=NOW)
SECRETS = ("hunter-one", "p4ssw0rd!", "t0ken-in-path", "t0ken-in-query", "t0ken-in-header", "t0ken-in-field")
LOUD = (
    "hunter-one:p4ssw0rd%21@",
    "/t0ken-in-path?-key=t0ken-in-query&+X-Token=t0ken-in-header&:field=t0ken-in-field",
)


@pytest.fixture
def guard() -> Iterator[RedactingFilter]:
    secrets = secrets_of(f"json://{LOUD[0]}127.0.0.1{LOUD[1]}")
    with guarded_logs(secrets) as filtering:
        yield filtering


def channel(guard: RedactingFilter, url: str, *, limit: float = 10.0) -> AppriseChannel:
    service = make_service(url)
    assert service is not None
    return AppriseChannel(service, MessageWriter(Renderer(), lambda: NOW, UTC), guard, limit=limit)


async def test_a_notice_arrives_with_title_text_and_type(hooks: WebhookServer, guard: RedactingFilter) -> None:
    assert (await channel(guard, f"json://127.0.0.1:{hooks.port}/hook").send(FAILED)).ok
    (hook,) = hooks.seen
    assert hook.json["title"] == "Guest 100 web: replication failed (network), to beta"
    assert hook.json["message"].startswith("Job 100-0: replication of guest 100 web from alpha to beta failed")
    assert hook.json["type"] == "failure"


async def test_who_asks_for_markdown_gets_ours(hooks: WebhookServer, guard: RedactingFilter) -> None:
    await channel(guard, f"json://127.0.0.1:{hooks.port}/hook?format=markdown").send(FAILED)
    assert "**What happened:**" in hooks.seen[0].json["message"]


async def test_a_result_that_is_neither_true_nor_false_is_a_failure(
    hooks: WebhookServer, guard: RedactingFilter
) -> None:
    hooks.statuses = [500]
    url = f"json://127.0.0.1:{hooks.port}/hook"
    plain = apprise.Apprise()
    plain.add(url)
    result = await asyncio.to_thread(plain.notify, title="t", body="b")
    untyped: object = result
    assert untyped is not False, "the trap: what `is False` does not catch"
    sent = await channel(guard, url).send(FAILED)
    assert sent.status is SendStatus.FAILED
    assert "HTTP 500" in sent.reason


async def test_an_optional_target_that_fails_is_a_failure(hooks: WebhookServer, guard: RedactingFilter) -> None:
    hooks.statuses = [500]
    assert not (await channel(guard, f"json://127.0.0.1:{hooks.port}/hook?optional=yes").send(FAILED)).ok


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_delivers_nothing_and_is_a_failure(
    hooks: WebhookServer, guard: RedactingFilter, status: int
) -> None:
    hooks.statuses = [status, 200]
    sent = await channel(guard, f"json://127.0.0.1:{hooks.port}/hook?redirect=yes").send(FAILED)
    assert "redirects" in sent.reason
    assert [hook.path for hook in hooks.seen] == ["/hook"]


@pytest.mark.parametrize("status", [500, 302, 404, None])
async def test_headers_and_paths_that_apprise_does_not_mask_are_shown_nowhere(
    hooks: WebhookServer,
    guard: RedactingFilter,
    unused_tcp_port: int,
    status: int | None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.NOTSET)
    hooks.statuses = [status or 200]
    port = hooks.port if status else unused_tcp_port
    sent = await channel(guard, f"json://{LOUD[0]}127.0.0.1:{port}{LOUD[1]}").send(FAILED)
    assert not sent.ok
    if status:
        assert hooks.seen[0].headers["X-Token"] == "t0ken-in-header", "the secrets did go to the server"
    assert [secret for secret in SECRETS if secret in caplog.text + repr(sent)] == []


def test_a_wrong_url_is_no_service_where_apprise_only_returns_false() -> None:
    url = "jsom://bob:hunter2@example.org"
    assert apprise.Apprise().add(url) is False
    assert make_service(url) is None


async def test_a_time_out_that_delivers_after_all_is_not_sent_again(
    hooks: WebhookServer, guard: RedactingFilter
) -> None:
    hooks.answer.clear()
    slow = channel(guard, f"json://127.0.0.1:{hooks.port}/hook?rto=30", limit=0.3)
    assert (await slow.send(FAILED)).status is SendStatus.TIMEOUT
    assert "still hangs" in (await slow.send(FAILED)).reason
    hooks.answer.set()
    async with asyncio.timeout(10):
        while not (await slow.send(FAILED)).ok:  # noqa: ASYNC110 - the thread does not signal its end
            await asyncio.sleep(0.02)
    assert len(hooks.seen) == 1


async def test_a_hanging_target_delays_no_other_one(hooks: WebhookServer, guard: RedactingFilter) -> None:
    async with hanging_server() as port:
        hanging = [
            asyncio.create_task(channel(guard, f"json://127.0.0.1:{port}/?rto=5&cto=5").send(FAILED)) for _ in range(20)
        ]
        sent = await asyncio.wait_for(channel(guard, f"json://127.0.0.1:{hooks.port}/hook").send(FAILED), 4)
        for task in hanging:
            task.cancel()
        await asyncio.gather(*hanging, return_exceptions=True)
    assert sent.ok


async def test_a_service_that_takes_little_gets_a_shorter_list(
    hooks: WebhookServer, guard: RedactingFilter, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = make_service(f"json://127.0.0.1:{hooks.port}/hook")
    assert service is not None
    monkeypatch.setattr(service, "body_maxlen", 1000)
    small = AppriseChannel(service, MessageWriter(Renderer(), lambda: NOW, UTC), guard)
    assert (await small.send(sample(NoticeKind.DIGEST, jobs=200, now=NOW))).ok
    message = hooks.seen[0].json["message"]
    assert len(message) < 1000
    assert "- and 196 more: zsr status shows all" in message


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        (NoticeKind.FAILED, "failure"),
        (NoticeKind.RECOVERED, "success"),
        (NoticeKind.DIGEST, "info"),
        (NoticeKind.FLAPPING, "warning"),
    ],
)
def test_the_type_is_that_of_the_kind(kind: NoticeKind, word: str) -> None:
    assert notify_type(sample(kind, now=NOW)).value == word
