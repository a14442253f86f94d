"""``zsr notify test`` by every way before real servers: the same channels as the daemon's, and each result in words."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC
from pathlib import Path

import pytest

from alerts.settings import AlertsSettings, read_settings
from alerts.test_message import TrialResult, try_targets
from replicator.models import JobId
from tests.support.mailserver import MailServer, mail_server
from tests.support.webhookserver import WebhookServer


@pytest.fixture
async def mails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[MailServer]:
    async with mail_server(tmp_path) as running:
        monkeypatch.setenv("SSL_CERT_FILE", str(running.ca_file))
        yield running


def settings(*tables: dict[str, object], **further: object) -> AlertsSettings:
    found, problems = read_settings({"notify": list(tables), **further}, {})
    assert problems == []
    return found


async def tried(known: AlertsSettings, job: JobId | None = None) -> list[TrialResult]:
    return await try_targets(known, known.targets, "alpha", UTC, job=job)


def mail(port: int) -> dict[str, object]:
    return {"name": "mail", "url": f"mailtos://localhost:{port}?from=zsr@example.org&to=admin@example.org"}


async def test_all_targets_are_tried_and_each_result_is_named(mails: MailServer, unused_tcp_port: int) -> None:
    good, bad = await tried(settings(mail(mails.port), {**mail(unused_tcp_port), "name": "bad"}))
    assert (good.target, good.kind, good.status.value, good.reason) == ("mail", "mailtos", "ok", "")
    assert (bad.target, bad.status.value) == ("bad", "failed")
    assert "refused" in bad.reason
    assert "alpha" in str(mails.received[0].message["Subject"])


async def test_every_way_is_tried_as_the_daemon_goes_it(mails: MailServer, hooks: WebhookServer) -> None:
    base = f"http://127.0.0.1:{hooks.port}"
    known = settings(
        mail(mails.port),
        {"name": "chat", "url": f"json://127.0.0.1:{hooks.port}/chat"},
        {"name": "tickets", "webhook": f"{base}/tickets", "secret": "k3y"},
        {"name": "am", "alertmanager": base},
        {"name": "checks", "ping": f"{base}/ping/{{job}}"},
    )
    trials = await tried(known, JobId(107, 0))
    assert [(trial.kind, trial.ok) for trial in trials] == [
        ("mailtos", True),
        ("json", True),
        ("webhook", True),
        ("alertmanager", True),
        ("ping", True),
    ]
    assert mails.received[0].message.get_content_type() == "multipart/alternative"
    by_path = {hook.path: hook for hook in hooks.seen}
    assert set(by_path) == {"/chat", "/tickets", "/api/v2/alerts", "/ping/107-0/log"}
    assert by_path["/tickets"].json["event"] == "test"
    assert "webhook-signature" in by_path["/tickets"].headers


async def test_a_trial_looks_as_messages_will(mails: MailServer, tmp_path: Path) -> None:
    (tmp_path / "test.title").write_text("[storage] {{ letter.title }}")
    words = {"templates": str(tmp_path), "page": "https://alpha.example.org/"}
    (trial,) = await tried(settings(mail(mails.port), notify_messages=words))
    assert trial.ok, trial.reason
    message = mails.received[0].message
    assert message["Subject"] == "[storage] zsr test message from alpha"
    text = message.get_body(("plain",))
    assert text is not None
    assert "https://alpha.example.org/" in str(text.get_content())
