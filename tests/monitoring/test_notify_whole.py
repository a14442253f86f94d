"""The whole plugin with targets of every kind: pings, Alertmanager both ways, threads of mail, and no secret shown."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from aiohttp import ClientSession

from alerts.channels.webhook import WebhookChannel
from alerts.delivery.store import load_log
from alerts.plugin import AlertsPlugin
from demo.servers import free_port
from replicator.api.job_status import JobStatus
from replicator.errors import ErrorClass
from replicator.events import RunFailed, RunStarted, RunSucceeded
from replicator.models import JobId
from tests.support import statuses
from tests.support.alertmanager_posts import alert, post
from tests.support.exporting import running_exporter
from tests.support.mailserver import Behaviour, MailServer, hanging_server, mail_server
from tests.support.notify import HURRIED, written
from tests.support.notify_clock import WatchedMemory
from tests.support.webhookserver import WebhookServer

NOW = statuses.NOW
JOB = JobId(100, 0)
TOKEN = "t0ken-of-the-receiver"


def failed(consecutive: int = 1, time: float = NOW, error_class: ErrorClass = ErrorClass.ZFS) -> RunFailed:
    return RunFailed(time, JOB, 7, error_class, "It broke.", "Mend it.", consecutive, NOW - 60, NOW - 5400, None)


def recovered(time: float = NOW + 60) -> RunSucceeded:
    return RunSucceeded(time, JOB, 8, time - 20, 20.0, 1000, recovered_after=1, failing_since=NOW - 60)


@pytest.fixture
async def mails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[MailServer]:
    async with mail_server(tmp_path) as running:
        monkeypatch.setenv("SSL_CERT_FILE", str(running.ca_file))
        yield running


@pytest.fixture
def core() -> statuses.FakeCore:
    core = statuses.FakeCore()
    core.set_status(statuses.failing())
    core.memories["notify"] = WatchedMemory()
    return core


async def a_moment(seconds: float) -> None:
    """Waits end soon; the core's time stands still, so nothing is tried twice."""
    await asyncio.sleep(min(seconds, 0.05))


@asynccontextmanager
async def running(
    core: statuses.FakeCore, *targets: Mapping[str, object], limit: float = 10.0, **further: object
) -> AsyncIterator[None]:
    plugin = AlertsPlugin(
        sleep=a_moment,
        clock=lambda: core.picture.time,
        send_limit=limit,
        waits=HURRIED,
        gather=0.0,
        zone=ZoneInfo("UTC"),
    )
    sections: dict[str, object] = {"notify": list(map(dict, targets)), **further}
    assert plugin.check(sections) == []
    work = asyncio.create_task(plugin.run(core, sections))
    await asyncio.sleep(0.05)
    try:
        yield
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


def counts(core: statuses.FakeCore, name: str) -> dict[str, int]:
    loaded: dict[str, dict[str, int]] = json.loads(core.memory("notify").get("counters") or "{}")
    return loaded[name]


def hook(port: int, name: str = "hook", **more: object) -> dict[str, object]:
    return {"name": name, "webhook": f"http://127.0.0.1:{port}/{name}", **more}


async def test_a_webhook_is_sent_the_document(core: statuses.FakeCore, hooks: WebhookServer) -> None:
    async with running(core, hook(hooks.port, secret="k3y")):
        await core.publish(failed())
        await written(core, lambda: counts(core, "hook")["success"] == 1)
    (seen,) = hooks.seen
    assert (seen.json["version"], seen.json["event"], seen.json["jobs"][0]["job"]) == (1, "failed", "100-0")
    assert "webhook-signature" in seen.headers


async def test_a_message_that_meets_a_bug_delays_no_other_and_is_tried_again(
    core: statuses.FakeCore, hooks: WebhookServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    request, bugs = WebhookChannel.request, ["one"]

    def broken(self: WebhookChannel, notice: Any) -> Any:
        if bugs:
            raise RuntimeError(bugs.pop())
        return request(self, notice)

    monkeypatch.setattr(WebhookChannel, "request", broken)
    async with running(core, hook(hooks.port)):
        await core.publish(failed(), replace(failed(), job=JobId(101, 0), error_class=ErrorClass.HOOK))
        await written(core, lambda: counts(core, "hook")["success"] == 1)
        core.picture = replace(core.picture, time=NOW + 3600)
        await written(core, lambda: counts(core, "hook")["success"] == 2)
    assert counts(core, "hook")["failure"] == 1
    assert "failed inside zsr (RuntimeError)" in caplog.text


async def test_a_bug_in_a_task_is_logged_without_a_secret_and_the_task_is_restarted(
    core: statuses.FakeCore, hooks: WebhookServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bugs, events = ["a bug that tells of p1ng-key"], core.events

    async def broken(after: int) -> Any:
        if bugs:
            raise RuntimeError(bugs.pop())
        return await events(after)

    monkeypatch.setattr(core, "events", broken)
    async with running(core, {"name": "hc", "ping": f"http://127.0.0.1:{hooks.port}/p1ng-key/{{job}}"}):
        await asyncio.sleep(0.2)  # the pause after the bug
        await core.publish(RunStarted(NOW, JOB, 7))
        await written(core, lambda: counts(core, "hc")["success"] == 1)
    assert "failed unexpectedly; restarting in 60 s." in caplog.text
    assert "p1ng-key" not in caplog.text


async def test_each_run_is_pinged_and_counted(core: statuses.FakeCore, hooks: WebhookServer) -> None:
    table = {"name": "hc", "ping": f"http://127.0.0.1:{hooks.port}/{{job}}", "match": {"guest": 100}}
    async with running(core, table):
        await core.publish(RunStarted(NOW, JOB, 7), RunStarted(NOW, JobId(101, 0), 1), failed())
        await written(core, lambda: counts(core, "hc")["success"] == 2)
    assert [seen.path.partition("?")[0] for seen in hooks.seen] == ["/100-0/start", "/100-0/fail"]


async def test_an_alert_lasts_until_the_all_clear(core: statuses.FakeCore, hooks: WebhookServer) -> None:
    def ends() -> list[str]:
        return [each["endsAt"] for seen in hooks.seen for each in seen.json]

    async with running(core, {"name": "am", "alertmanager": f"http://127.0.0.1:{hooks.port}"}):
        await core.publish(failed())
        await hooks.wait_for(3)  # it is raised and renewed
        core.set_status(statuses.healthy(now=NOW + 60), now=NOW + 60)
        await core.publish(recovered())
        await written(core, lambda: counts(core, "am")["success"] == 2)
    assert {seen.path for seen in hooks.seen} == {"/api/v2/alerts"}
    assert ends()[0] == "2027-01-15T09:00:00.000Z"
    assert ends()[-1] == "2027-01-15T08:01:00.000Z"


async def test_the_mails_of_one_failure_are_one_thread_and_the_kept_promise_is_in_its_all_clear(
    core: statuses.FakeCore, mails: MailServer
) -> None:
    table = {"name": "mail", "url": f"mailtos://localhost:{mails.port}?from=zsr@example.org&to=a@example.org"}
    late = replace(statuses.failing(error_class=ErrorClass.ZFS), rpo=5450.0)  # broken in 50 s

    async def look(now: float, job: JobStatus, messages: int, *events: RunFailed | RunSucceeded) -> None:
        """Let a daemon begin at that time, and end when so many messages were sent in all."""
        core.set_status(job, now=now)
        async with running(core, table):
            await core.publish(*events)
            await written(core, lambda: counts(core, "mail")["success"] >= messages)

    still = replace(late, state=replace(late.state, last_sync=NOW - 5400))
    await look(NOW, still, 1, failed())
    await look(NOW + 100, still, 1)
    await look(NOW + 300, still, 2)
    await look(NOW + 400, statuses.healthy(now=NOW + 400), 3, recovered(NOW + 400))
    await look(NOW + 3600, statuses.healthy(now=NOW + 3600), 3)
    assert [mail.message["X-Zsr-Event"] for mail in mails.received] == ["failed", "rpo-breached", "recovered"]
    assert mails.received[2].message["References"] == mails.received[0].message["Message-ID"]


class TestTheReceiver:
    @pytest.fixture
    def receiver(self) -> dict[str, object]:
        return {"listen": f"127.0.0.1:{free_port()}", "token": TOKEN}

    @staticmethod
    async def post(receiver: Mapping[str, object], body: dict[str, Any], token: str = TOKEN) -> int:
        async with (
            ClientSession(headers={"Authorization": f"Bearer {token}"}) as session,
            session.post(f"http://{receiver['listen']}/alertmanager", json=body) as response,
        ):
            return response.status

    async def test_an_alertmanager_post_goes_by_the_routes_once_and_its_all_clear_to_the_same_targets(
        self, core: statuses.FakeCore, hooks: WebhookServer, receiver: dict[str, object]
    ) -> None:
        storage = hook(hooks.port, "storage", match={"severity": "critical"})
        quiet = hook(hooks.port, "guests", match={"guest": 107})
        firing, resolved = post(alert(severity="critical")), post(alert(status="resolved"), status="resolved")
        async with running(core, storage, quiet, notify_receiver=receiver):
            assert [await self.post(receiver, firing) for _ in range(2)] == [200, 200]
            assert await self.post(receiver, resolved) == 200
            await written(core, lambda: counts(core, "storage")["success"] == 2)
        assert [(seen.path, seen.json["title"]) for seen in hooks.seen] == [
            ("/storage", "Firing: DiskFull on host1"),
            ("/storage", "Resolved: DiskFull on host1"),
        ]

    async def test_a_post_that_was_answered_is_delivered_though_the_daemon_ends(
        self, core: statuses.FakeCore, hooks: WebhookServer, receiver: dict[str, object]
    ) -> None:
        hooks.statuses = [500]
        async with running(core, hook(hooks.port), notify_receiver=receiver):
            assert await self.post(receiver, post(alert())) == 200
        hooks.statuses = [200]
        core.set_status(now=NOW + 7200)
        async with running(core, hook(hooks.port)):
            await written(core, lambda: counts(core, "hook")["success"] == 1)
        assert hooks.accepted[0].json["event"] == "alertmanager"

    async def test_a_post_that_cannot_be_stored_is_not_sent_and_is_requested_again(
        self, core: statuses.FakeCore, hooks: WebhookServer, receiver: dict[str, object]
    ) -> None:
        async with running(core, hook(hooks.port), notify_receiver=receiver):
            memory, full = core.memories["notify"], pytest.MonkeyPatch()

            def put_all(notes: object) -> None:
                raise OSError(28, "No space left on device")

            full.setattr(memory, "put_all", put_all)
            assert await self.post(receiver, post(alert())) == 503
            full.undo()
            assert await self.post(receiver, post(alert())) == 200
            await written(core, lambda: counts(core, "hook")["success"] == 1)
        assert len(hooks.seen) == 1


SECRETS = (
    "m4il-user", "m4il-p4ss", "json-p4ss", "json-t0ken", "h00k-user", "h00k-p4ss", "h00k-path", "h00k-query",
    "s1gning-key", "h3ader-token", "am-p4ss", "am-t0ken", "p1ng-key", "env-s3cret", "file-s3cret", TOKEN,
)  # fmt: skip


def every_kind(port: int, mail: int, hang: int, closed: int, file: Path) -> list[dict[str, object]]:
    """A target of each kind and of each way to fail, full of secrets."""
    base = f"127.0.0.1:{port}"
    mail_url = "mailtos://m4il-user:m4il-p4ss@localhost:{}?from=zsr@example.org&to=a@example.org&cto=1"
    return [
        {"name": "mail", "url": mail_url.format(mail)},
        {"name": "mail-closed", "url": mail_url.format(closed)},
        {"name": "mail-hangs", "url": mail_url.format(hang)},
        {"name": "chat", "url": f"json://json-user:json-p4ss@{base}/json-t0ken"},
        {"name": "chat-closed", "url": f"json://json-user:json-p4ss@127.0.0.1:{closed}/json-t0ken"},
        {
            "name": "hook",
            "webhook": f"http://h00k-user:h00k-p4ss@{base}/h00k-path?x=h00k-query",
            "secret": "s1gning-key",
            "headers": {"X-Token": "h3ader-token", "X-Env": "env:ZSR_TEST_SECRET", "X-File": f"file:{file}"},
        },
        {"name": "hook-hangs", "webhook": f"http://h00k-user:h00k-p4ss@127.0.0.1:{hang}/h00k-path"},
        {"name": "bug", "webhook": f"http://{base}/h00k-path", "secret": "s1gning-key"},
        {"name": "am", "alertmanager": f"http://am-user:am-p4ss@{base}"},
        {"name": "am-token", "alertmanager": f"http://{base}", "token": "am-t0ken"},
        {"name": "hc", "ping": f"http://{base}/p1ng-key/{{job}}"},
    ]


def break_signed_webhooks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Raise an error that shows the URL for a signed webhook without a token."""
    sending = WebhookChannel.request

    def request(self: WebhookChannel, notice: Any) -> Any:
        made = sending(self, notice)
        if "X-Token" not in made.headers and "webhook-signature" in made.headers:
            raise RuntimeError(f"a bug that tells of {made.url}")
        return made

    monkeypatch.setattr(WebhookChannel, "request", request)


async def test_no_secret_of_any_target_is_logged_shown_kept_or_in_a_traceback(
    core: statuses.FakeCore,
    hooks: WebhookServer,
    mails: MailServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    unused_tcp_port: int,
) -> None:
    caplog.set_level(logging.ERROR, "mail.log")  # the server's
    caplog.set_level(logging.DEBUG)
    hooks.statuses, mails.behaviour = [500], Behaviour.DEFER
    file = tmp_path / "secret"
    file.write_text("file-s3cret")
    file.chmod(0o600)
    monkeypatch.setenv("ZSR_TEST_SECRET", "env-s3cret")
    break_signed_webhooks(monkeypatch)
    receiver = {"listen": f"127.0.0.1:{free_port()}", "token": TOKEN}
    shown = []
    async with hanging_server() as hang:
        tables = every_kind(hooks.port, mails.port, hang, unused_tcp_port, file)
        async with running(core, *tables, limit=1.5, notify_receiver=receiver), running_exporter(core) as exporter:
            await core.publish(RunStarted(NOW, JOB, 7), failed())
            names = [str(table["name"]) for table in tables]
            await written(core, lambda: all(counts(core, name)["failure"] > 0 for name in names))
            assert await TestTheReceiver.post(receiver, post(alert()), "wrong") == 401
            assert await TestTheReceiver.post(receiver, {"version": "3"}) == 400
            async with ClientSession() as session:
                for path in ("/metrics", "/", "/http_sd", "/-/ready"):
                    async with session.get(f"http://{exporter}{path}") as response:
                        shown.append(await response.text())
    seen = next(each for each in hooks.seen if "X-Token" in each.headers)
    assert (seen.headers["X-Env"], seen.headers["X-File"]) == ("env-s3cret", "file-s3cret"), "they did go to the server"
    assert "failed inside zsr (RuntimeError)" in caplog.text
    assert "did not accept" in caplog.text
    assert 'zsr_notifications_total{target="hc",outcome="failure"}' in shown[0]
    records = repr(load_log(core.memory("notify"))) + json.dumps(core.memories["notify"].notes)
    everything = [caplog.text, *capfd.readouterr(), *shown, records, repr(core.journal)]
    assert [secret for secret in SECRETS for text in everything if secret in text] == []
