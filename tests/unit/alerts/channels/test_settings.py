"""The settings of channels: how they are read, their problems, and that no secret of theirs is shown."""

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
    channel, problems = read_channel(table, environ)
    assert channel is None
    assert SECRET not in "".join(map(str, problems))
    return [problem.key for problem in problems]


def channel_of(table: dict[str, object], **environ: str) -> AnyChannel | None:
    channel, problems = read_channel(table, environ)
    assert problems == []
    assert channel is not None
    with guarded_logs(secrets_of_channel(channel)) as guard:
        channel_context = ChannelContext(MessageWriter(Renderer(), lambda: 0.0, UTC), guard, statuses.FakeMemory())
        return create_channel("x", channel, channel_context)


def test_every_kind_of_target_has_its_channel() -> None:
    assert isinstance(channel_of({"url": MAIL}), MailChannel)
    assert isinstance(channel_of({"url": "ntfys://example.org/topic"}), AppriseChannel)
    assert isinstance(channel_of({"url": f"{MAIL}&pgp=sign"}), AppriseChannel)
    assert isinstance(channel_of({"webhook": "https://example.org"}), WebhookChannel)
    assert isinstance(channel_of({"alertmanager": "http://127.0.0.1:9093"}), AlertmanagerChannel)
    assert channel_of({"ping": "https://hc-ping.com/key/zsr-{job}"}) is None
    assert channel_of({"url": "jsom://example.org"}) is None


def test_a_url_may_stand_elsewhere_in_the_old_spelling_and_in_the_new(tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text(MAIL)
    file.chmod(0o600)
    for table in ({"url": f"file:{file}"}, {"url_file": str(file)}, {"url": "env:U"}, {"url_env": "U"}):
        channel, problems = read_channel(table, {"U": MAIL})
        assert problems == []
        assert isinstance(channel, ServiceSettings)
        assert channel.url.text == MAIL


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
    channel, _ = read_channel(table, {"HOOK": "https://example.org/x", "KEY": "k", "TOKEN": "Bearer t"})
    assert channel == WebhookSettings(
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
def test_what_is_wrong_is_reported_at_once_and_shows_no_secret(
    table: dict[str, object], keys: list[str] | None
) -> None:
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
    channel, _ = read_channel(table, {"S": MAIL})
    assert isinstance(channel, ServiceSettings | WebhookSettings | AlertmanagerSettings | PingSettings)
    assert any(SECRET in part for part in secrets_of_channel(channel))
    made = channel_of(table, S=MAIL)
    error = RuntimeError(f"{channel} {channel!r} {made!r} {getattr(made, '_settings', '')!r}")
    shown = "".join(traceback.format_exception(error))
    assert SECRET not in shown + caplog.text
