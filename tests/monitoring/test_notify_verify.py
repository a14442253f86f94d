"""``zsr notify verify``: what each protocol allows to know without a message, and that none is sent."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from alerts.channels.settings import ChannelConfig, PingSettings, ServiceSettings
from alerts.channels.verify import Proof, can_be_verified, verify_channel
from alerts.channels.webhook import WebhookSettings
from alerts.cli import notify
from alerts.plugin import AlertsPlugin
from alerts.secrets import Secret
from tests.support import statuses
from tests.support.mailserver import hanging_server, mail_server
from tests.support.webhookserver import WebhookServer

LOGIN = ("bob", "s3cr3t")


async def zsr(path: Path, *args: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, notify, ["verify", "--config", str(path), *args])


def write(tmp_path: Path, *tables: str) -> Path:
    path = tmp_path / "zsr.toml"
    path.write_text('node = "alpha"\n' + "".join(f"[[notify]]\n{table}\n" for table in tables))
    return path


def mail(port: int, password: str = LOGIN[1]) -> str:
    return f'name = "mail"\nurl = "mailtos://bob:{password}@localhost:{port}?from=zsr@example.org&to=a@example.org"'


async def test_a_mail_server_proves_the_log_in_and_gets_no_mail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with mail_server(tmp_path, login=LOGIN) as server:
        monkeypatch.setenv("SSL_CERT_FILE", str(server.ca_file))
        right = await zsr(write(tmp_path, mail(server.port)))
        wrong = await zsr(write(tmp_path, mail(server.port, "expired-pw")))
        assert (server.received, server.seen) == ([], 0)
    assert right.exit_code == 0, right.output
    assert right.output.splitlines()[1].split()[:3] == ["mail", "mailtos", "ok"]
    assert wrong.exit_code == 1
    assert "refused the log-in: 535" in wrong.output
    assert "expired-pw" not in wrong.output


async def test_what_a_webhook_a_ping_and_a_service_allow(tmp_path: Path, hooks: WebhookServer) -> None:
    hooks.statuses = [405]
    url = f"http://127.0.0.1:{hooks.port}"
    tables = (
        f'name = "hook"\nwebhook = "{url}/zsr"\nheaders = {{ X-Token = "t0ken" }}',
        f'name = "hc"\nping = "{url}/{{job}}"',
        f'name = "chat"\nurl = "json://127.0.0.1:{hooks.port}/x"',
    )
    result = await zsr(write(tmp_path, *tables), "--format", "json")
    found = {each["target"]: each for each in json.loads(result.output)}
    assert {name: each["status"] for name, each in found.items()} == {
        "hook": "reachable",
        "hc": "unchecked",
        "chat": "unchecked",
    }
    assert result.exit_code == 0
    assert all(each["reason"] for each in found.values())
    assert [(hook.method, hook.path, hook.json) for hook in hooks.seen] == [("OPTIONS", "/zsr", {})]


@pytest.mark.parametrize(("status", "proof"), [(200, "ok"), (401, "failed")])
async def test_alertmanager_proves_its_token_by_its_status(
    tmp_path: Path, hooks: WebhookServer, status: int, proof: str
) -> None:
    hooks.statuses = [status]
    table = f'name = "am"\nalertmanager = "http://127.0.0.1:{hooks.port}"\ntoken = "t0ken"'
    result = await zsr(write(tmp_path, table), "--format", "json")
    assert json.loads(result.output)[0]["status"] == proof
    (asked,) = hooks.seen
    assert (asked.method, asked.path, asked.headers["Authorization"]) == ("GET", "/api/v2/status", "Bearer t0ken")


async def test_a_server_that_never_speaks_is_a_time_out() -> None:
    async with hanging_server() as port:
        url = Secret(f"mailto://localhost:{port}?from=zsr@example.org&to=a@example.org")
        assert (await verify_channel(ServiceSettings(url), 0.2)).proof is Proof.TIMEOUT


@pytest.mark.parametrize(
    ("settings", "can"),
    [
        (WebhookSettings(Secret("http://h/")), True),
        (PingSettings(Secret("http://h/{job}")), False),
        (ServiceSettings(Secret("mailto://h?from=a@example.org&to=b@example.org")), True),
        (ServiceSettings(Secret("json://h/")), False),
    ],
)
def test_only_what_can_be_known_is_checked_each_day(settings: ChannelConfig, can: bool) -> None:
    assert can_be_verified(settings) is can


async def test_the_daemon_reports_a_log_in_that_expired_to_the_other_targets(
    hooks: WebhookServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    core = statuses.FakeCore()
    waits: list[float] = []

    async def idle(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) > 4:
            await asyncio.Event().wait()

    async with mail_server(tmp_path, login=LOGIN) as server:
        monkeypatch.setenv("SSL_CERT_FILE", str(server.ca_file))
        url = f"mailtos://bob:expired@localhost:{server.port}?from=zsr@example.org&to=a@example.org"
        tables = [{"name": "mail", "url": url}, {"name": "hook", "url": f"json://127.0.0.1:{hooks.port}/x"}]
        plugin = AlertsPlugin(idle=idle, clock=lambda: core.picture.time)
        work = asyncio.create_task(plugin.run(core, {"notify": tables}))
        try:
            async with asyncio.timeout(20):
                await hooks.wait_for(1)
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
    assert hooks.seen[0].json["title"] == "Messages to 'mail' do not arrive, from alpha"
    assert "Its daily check failed: The mail server refused the log-in: 535" in hooks.seen[0].json["message"]
