"""Sent and arrived messages, counted: failures and their all-clears through servers that misbehave for a while.

The whole plugin, a real SMTP server with STARTTLS and log-in, and a real webhook server. Waits end at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from replicator.models import JobId
from tests.support import statuses
from tests.support.mailserver import Behaviour, MailServer, mail_server
from tests.support.notify import counts, failed, recovered, running, settled
from tests.support.notify_clock import TestClock, WatchedMemory
from tests.support.webhookserver import WebhookServer

LOGIN = ("bob", "s3cr3t-p@ss")
GUESTS = range(100, 105)
MESSAGES = 2 * len(GUESTS)
"""One failure and one all-clear of each guest; each guest's fails for a reason of its own."""


@pytest.fixture
def core() -> statuses.FakeCore:
    core = statuses.FakeCore()
    core.set_status(*(statuses.healthy(f"{guest}-0") for guest in GUESTS))
    core.memories["notify"] = WatchedMemory()
    return core


@pytest.fixture
async def mail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[MailServer]:
    async with mail_server(tmp_path, login=LOGIN) as server:
        monkeypatch.setenv("SSL_CERT_FILE", str(server.ca_file))
        yield server


async def live(core: statuses.FakeCore, target: dict[str, object]) -> None:
    """Let every guest's job fail and be well again, one after the other, and wait until all is sent."""
    # A server that refuses is left alone for hours, in which promises break; that is no part of this.
    async with running(core, TestClock(core), {**target, "match": {"event": "failed"}}):
        for guest in GUESTS:
            job = JobId(guest, 0)
            await core.publish(failed(1, core.picture.time, job))
            await settled(core, str(target["name"]))
            await core.publish(recovered(core.picture.time + 60, 1, job))
            await settled(core, str(target["name"]))


@pytest.mark.parametrize(
    ("trouble", "attempts"),
    [
        ([], MESSAGES),
        ([Behaviour.DEFER] * 3, MESSAGES + 3),
        ([Behaviour.REFUSE_RECIPIENT] * 2, MESSAGES + 2),
        ([Behaviour.CLOSE_IN_DATA] * 2, MESSAGES + 2),
        ([Behaviour.HANG], MESSAGES + 1),
        ([Behaviour.DEFER, Behaviour.HANG, Behaviour.CLOSE_IN_DATA, Behaviour.REFUSE_RECIPIENT], MESSAGES + 4),
    ],
    ids=["well", "greylists", "refuses", "closes in DATA", "hangs", "all of it"],
)
async def test_each_mail_arrives_once_whatever_the_server_does_first(
    core: statuses.FakeCore, mail: MailServer, trouble: list[Behaviour], attempts: int
) -> None:
    mail.coming = list(trouble)
    url = f"mailtos://bob:s3cr3t-p%40ss@localhost:{mail.port}?from=zsr@example.org&to=admin@example.org&cto=1"
    await live(core, {"name": "mail", "url": url})
    arrived = Counter(str(received.message["Message-ID"]) for received in mail.received)
    assert (mail.seen, len(mail.received), set(arrived.values())) == (attempts, MESSAGES, {1})
    assert all(received.encrypted for received in mail.received)
    assert counts(core)["mail"] == {"success": MESSAGES, "failure": len(trouble), "undelivered": 0}


@pytest.mark.parametrize(
    "trouble", [[], [500, 503, 502], [302, 301], [429], [404, 401]], ids=["well", "5xx", "redirects", "busy", "refuses"]
)
async def test_each_webhook_arrives_once_whatever_the_server_does_first(
    core: statuses.FakeCore, hooks: WebhookServer, trouble: list[int]
) -> None:
    hooks.statuses = [*trouble, 200]
    await live(core, {"name": "hook", "webhook": f"http://127.0.0.1:{hooks.port}/zsr", "secret": "k3y"})
    arrived = Counter(hook.headers["Idempotency-Key"] for hook in hooks.accepted)
    assert (len(hooks.seen), len(hooks.accepted), set(arrived.values())) == (MESSAGES + len(trouble), MESSAGES, {1})
    assert {hook.path for hook in hooks.seen} == {"/zsr"}
    assert counts(core)["hook"] == {"success": MESSAGES, "failure": len(trouble), "undelivered": 0}
