"""Webhooks before a real server: what arrives, its signature, what each answer means, and that no secret is shown."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import logging
from dataclasses import replace
from datetime import UTC
from pathlib import Path

import pytest
from aiohttp import web

from alerts.channels.base import SendStatus, Sent
from alerts.channels.http import Request
from alerts.channels.webhook import WebhookChannel, WebhookSettings
from alerts.notice import NoticeKind
from alerts.render.renderer import MessageWriter, Renderer
from alerts.render.samples import sample
from alerts.secrets import Secret
from tests.support.mailserver import hanging_server
from tests.support.webhookserver import WebhookServer

NOW = 1_800_000_000.0
FAILED = replace(sample(NoticeKind.FAILED, now=NOW), key="alpha/100-0/7")
KEY = Secret("whsec_" + base64.b64encode(b"a key of 24 bytes or more").decode())
SCRIBE = MessageWriter(Renderer(), lambda: NOW, UTC)


def channel(port: int, *, limit: float = 5.0, **settings: object) -> WebhookChannel:
    url = Secret(f"http://127.0.0.1:{port}/hook")
    return WebhookChannel(WebhookSettings(**({"url": url} | settings)), SCRIBE, limit=limit)  # type: ignore[arg-type]


async def test_a_notice_arrives_as_the_document(hooks: WebhookServer) -> None:
    sent = await channel(hooks.port).send(FAILED)
    assert sent.ok, sent.reason
    (hook,) = hooks.seen
    assert hook.method == "POST"
    assert hook.headers["Content-Type"] == "application/json"
    assert (hook.json["version"], hook.json["event"], hook.json["id"]) == (1, "failed", "alpha/100-0/7")
    assert hook.json["title"] == "Guest 100 web: replication failed (network), to beta"
    assert "If alpha died now" in hook.json["text"]


async def test_the_same_notice_has_the_same_key_each_time(hooks: WebhookServer) -> None:
    for _ in range(2):
        await channel(hooks.port).send(FAILED)
    await channel(hooks.port).send(replace(FAILED, key="a\r\nX-Forged: b"))
    keys = [hook.headers["Idempotency-Key"] for hook in hooks.seen]
    assert keys == ["alpha/100-0/7", "alpha/100-0/7", hashlib.sha256(b"a\r\nX-Forged: b").hexdigest()]


async def raw_server(bodies: list[tuple[dict[str, str], bytes]]) -> web.AppRunner:
    async def take(request: web.Request) -> web.Response:
        bodies.append((dict(request.headers), await request.read()))
        return web.Response()

    app = web.Application()
    app.router.add_post("/hook", take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner


@pytest.mark.parametrize(("key", "raw"), [(KEY, b"a key of 24 bytes or more"), (Secret("plain words"), b"plain words")])
async def test_a_receiver_can_verify_the_signature_as_documented(key: Secret, raw: bytes) -> None:
    bodies: list[tuple[dict[str, str], bytes]] = []
    runner = await raw_server(bodies)
    try:
        assert (await channel(runner.addresses[0][1], key=key).send(FAILED)).ok
    finally:
        await runner.cleanup()
    headers, body = bodies[0]
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    wanted = base64.b64encode(hmac.new(raw, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{wanted}"
    assert headers["webhook-id"] == headers["Idempotency-Key"]
    assert headers["webhook-timestamp"] == str(int(NOW))


async def test_without_a_key_nothing_is_signed(hooks: WebhookServer) -> None:
    await channel(hooks.port).send(FAILED)
    assert not any(name.lower().startswith("webhook-") for name in hooks.seen[0].headers)


@pytest.mark.parametrize(
    ("status", "ok", "permanent"),
    [
        *((status, True, False) for status in (200, 202, 204)),
        *((status, False, True) for status in (302, 400, 401, 404, 410)),
        *((status, False, False) for status in (408, 429, 500, 502, 503)),
    ],
)
async def test_an_answer_says_whether_it_is_worth_trying_again(
    hooks: WebhookServer, status: int, ok: bool, permanent: bool
) -> None:
    hooks.statuses = [status]
    sent = await channel(hooks.port).send(FAILED)
    assert (sent.ok, sent.permanent) == (ok, permanent)
    assert ok or f"HTTP {status}" in sent.reason


async def test_a_redirect_is_not_followed(hooks: WebhookServer) -> None:
    hooks.statuses = [307, 200]
    assert "redirects" in (await channel(hooks.port).send(FAILED)).reason
    assert [hook.path for hook in hooks.seen] == ["/hook"]


async def test_a_server_that_asks_for_a_pause_is_heard() -> None:
    async def busy(_: web.Request) -> web.Response:
        return web.Response(status=429, headers={"Retry-After": "90"})

    app = web.Application()
    app.router.add_post("/hook", busy)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        assert (await channel(runner.addresses[0][1]).send(FAILED)).retry_after == 90.0
    finally:
        await runner.cleanup()


async def test_a_server_that_takes_it_and_does_not_answer_may_have_it(hooks: WebhookServer) -> None:
    hooks.answer.clear()
    sent = await channel(hooks.port, limit=0.2).send(FAILED)
    assert sent.status is SendStatus.TIMEOUT
    assert "may still have arrived" in sent.reason
    assert len(hooks.seen) == 1


async def test_a_hanging_server_delays_no_other(hooks: WebhookServer) -> None:
    async with hanging_server() as port:
        hanging = [asyncio.create_task(channel(port, limit=30.0).send(FAILED)) for _ in range(50)]
        sent = await asyncio.wait_for(channel(hooks.port).send(FAILED), 3)
        for task in hanging:
            task.cancel()
        await asyncio.gather(*hanging, return_exceptions=True)
    assert sent.ok


async def test_a_name_that_does_not_exist_is_named_as_such() -> None:
    sent = await channel(1, url=Secret("http://nobody.invalid/hook")).send(FAILED)
    assert not sent.ok
    assert "DNS" in sent.reason


async def test_a_port_where_nothing_listens_is_named(unused_tcp_port: int) -> None:
    assert "refused" in (await channel(unused_tcp_port).send(FAILED)).reason


async def test_a_body_may_be_of_the_users_own_template(hooks: WebhookServer, tmp_path: Path) -> None:
    template = tmp_path / "ticket.json"
    template.write_text('{"summary": {{ letter.title | tojson }}, "jobs": {{ document.jobs | length }}}')
    assert (await channel(hooks.port, body=template, method="PUT").send(FAILED)).ok
    (hook,) = hooks.seen
    assert (hook.method, hook.json) == (
        "PUT",
        {"summary": "Guest 100 web: replication failed (network), to beta", "jobs": 1},
    )


@pytest.mark.parametrize("text", ["{{ nobody }}", '{"summary": {{ letter.title }}}', ""])
async def test_a_broken_body_loses_no_message_and_is_said(
    hooks: WebhookServer, tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    template = tmp_path / "ticket.json"
    template.write_text(text)
    assert (await channel(hooks.port, body=template).send(FAILED)).ok
    assert hooks.seen[0].json["version"] == 1
    assert "ticket.json" in caplog.text


SECRETS = ("hunter-one", "p4ssw0rd", "t0ken-in-path", "t0ken-in-query", "t0ken-in-header", "k3y-to-sign-with")


@pytest.mark.parametrize("status", [200, 302, 404, 500, None])
async def test_no_secret_is_logged_reported_or_shown(
    hooks: WebhookServer, unused_tcp_port: int, status: int | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    hooks.statuses = [status or 200]
    port = hooks.port if status else unused_tcp_port
    settings = WebhookSettings(
        Secret(f"http://hunter-one:p4ssw0rd@127.0.0.1:{port}/t0ken-in-path?x=t0ken-in-query"),
        Secret("k3y-to-sign-with"),
        {"X-Token": Secret("t0ken-in-header")},
    )
    webhook = WebhookChannel(settings, SCRIBE)
    sent: Sent = await webhook.send(FAILED)
    if status:
        seen = hooks.seen[0]
        assert seen.path == "/t0ken-in-path?x=t0ken-in-query", "the secrets did go to the server"
        assert seen.headers["X-Token"] == "t0ken-in-header"
        assert base64.b64encode(b"hunter-one:p4ssw0rd").decode() in seen.headers["Authorization"]
    shown = caplog.text + repr(sent) + repr(settings) + repr(webhook.request(FAILED)) + repr(Request("http://p4ssw0rd"))
    assert [secret for secret in SECRETS if secret in shown] == []
