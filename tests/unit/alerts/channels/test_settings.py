"""By which way a target is reached: what is read, what is wrong with it, and that no secret of it is shown."""

from __future__ import annotations

import logging
import traceback
from datetime import UTC
from pathlib import Path

import pytest

from alerts.channels.alertmanager import AlertmanagerChannel, AlertmanagerSettings
from alerts.channels.apprise import AppriseChannel
from alerts.channels.email import MailChannel
from alerts.channels.factory import AnyChannel, ChannelContext, create_channel
from alerts.channels.settings import PingSettings, ServiceSettings, read_channel, secrets_of_channel
from alerts.channels.webhook import WebhookChannel, WebhookSettings
from alerts.redaction import guarded_logs
from alerts.render.renderer import MessageWriter, Renderer
from alerts.secrets import Secret
from tests.support import statuses

SECRET = "hunter2-s3cret"
MAIL = f"mailtos://bob:{SECRET}@mail.example.org?to=admin@example.org"


def wrong(table: dict[str, object], **environ: str) -> list[str]:
    way, problems = read_channel(table, environ)
    assert way is None
    assert SECRET not in "".join(map(str, problems))
    return [problem.key for problem in problems]


def made(table: dict[str, object], **environ: str) -> AnyChannel | None:
    way, problems = read_channel(table, environ)
    assert problems == []
    assert way is not None
    with guarded_logs(secrets_of_channel(way)) as guard:
        channel_context = ChannelContext(MessageWriter(Renderer(), lambda: 0.0, UTC), guard, statuses.FakeMemory())
        return create_channel("x", way, channel_context)


def test_every_way_has_its_channel() -> None:
    assert isinstance(made({"url": MAIL}), MailChannel)
    assert isinstance(made({"url": "ntfys://example.org/topic"}), AppriseChannel)
    assert isinstance(made({"url": f"{MAIL}&pgp=sign"}), AppriseChannel)
    assert isinstance(made({"webhook": "https://example.org"}), WebhookChannel)
    assert isinstance(made({"alertmanager": "http://127.0.0.1:9093"}), AlertmanagerChannel)
    assert made({"ping": "https://hc-ping.com/key/zsr-{job}"}) is None
    assert made({"url": "jsom://example.org"}) is None


def test_a_url_may_stand_elsewhere_in_the_old_spelling_and_in_the_new(tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text(MAIL)
    file.chmod(0o600)
    for table in ({"url": f"file:{file}"}, {"url_file": str(file)}, {"url": "env:U"}, {"url_env": "U"}):
        way, problems = read_channel(table, {"U": MAIL})
        assert problems == []
        assert isinstance(way, ServiceSettings)
        assert way.url.text == MAIL


def test_all_of_a_webhook(tmp_path: Path) -> None:
    body = tmp_path / "ticket.json"
    body.write_text("{}")
    table = {
        "webhook": "env:HOOK",
        "secret": "env:KEY",
        "headers": {"Authorization": "env:TOKEN"},
        "body": str(body),
        "content_type": "application/x-ticket",
        "method": "PUT",
    }
    way, _ = read_channel(table, {"HOOK": "https://example.org/x", "KEY": "k", "TOKEN": "Bearer t"})
    assert way == WebhookSettings(
        Secret("https://example.org/x", "env:HOOK"),
        Secret("k", "env:KEY"),
        {"Authorization": Secret("Bearer t", "env:TOKEN")},
        body,
        "application/x-ticket",
        "PUT",
    )


@pytest.mark.parametrize(
    ("table", "keys"),
    [
        ({}, ["url"]),
        ({"url": MAIL, "webhook": "https://example.org"}, ["url"]),
        ({"url": MAIL, "secret": SECRET}, ["secret"]),
        ({"webhook": "https://example.org", "token": SECRET}, ["token"]),
        ({"webhook": f"ftp://{SECRET}"}, ["webhook"]),
        ({"webhook": f"https://[{SECRET}"}, ["webhook"]),
        ({"webhook": SECRET}, ["webhook"]),
        ({"alertmanager": SECRET}, ["alertmanager"]),
        ({"ping": f"https://hc-ping.com/{SECRET}"}, ["ping"]),
        ({"webhook": "env:UNSET", "body": "/gone", "content_type": 7, "method": SECRET}, None),
        ({"webhook": "https://example.org", "headers": {"A B": SECRET}}, ["headers"]),
        ({"webhook": "https://example.org", "headers": {"Content-Length": SECRET}}, ["headers"]),
        ({"webhook": "https://example.org", "headers": {"X": f"{SECRET}\nY: z"}}, ["headers"]),
        ({"webhook": "https://example.org", "headers": SECRET}, ["headers"]),
        ({"webhook": "https://example.org", "headers": {"X": 7}}, ["headers"]),
        ({"webhook": "https://u:p@example.org", "headers": {"authorization": SECRET}}, ["headers"]),
        ({"alertmanager": "https://u:p@example.org", "token": SECRET}, ["token"]),
    ],
)
def test_what_is_wrong_is_told_at_once_and_shows_no_secret(table: dict[str, object], keys: list[str] | None) -> None:
    assert wrong(table) == (keys or ["webhook", "body", "content_type", "method"])


WAYS = {
    "mail": {"url": MAIL},
    "mail in a file's stead": {"url": "env:S"},
    "webhook": {"webhook": f"https://u:{SECRET}@example.org", "secret": SECRET, "headers": {"X": SECRET}},
    "alertmanager": {"alertmanager": f"http://u:{SECRET}@example.org"},
    "alertmanager with a token": {"alertmanager": "http://example.org", "token": SECRET},
    "ping": {"ping": f"https://hc.example.org/{SECRET}/{{job}}"},
}


@pytest.mark.parametrize("table", WAYS.values(), ids=WAYS)
def test_no_repr_and_no_traceback_shows_a_secret(table: dict[str, object], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    way, _ = read_channel(table, {"S": MAIL})
    assert isinstance(way, ServiceSettings | WebhookSettings | AlertmanagerSettings | PingSettings)
    assert any(SECRET in part for part in secrets_of_channel(way))
    channel = made(table, S=MAIL)
    error = RuntimeError(f"{way} {way!r} {channel!r} {getattr(channel, '_settings', '')!r}")
    told = "".join(traceback.format_exception(error))
    assert SECRET not in told + caplog.text
