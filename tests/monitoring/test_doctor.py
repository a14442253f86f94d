"""``zsr doctor`` against a real Prometheus and a real mail server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from alerts.prometheus import ask, own_rules, rule_lines, scrape_line
from replicator.api.doctor import Level, Subject
from tests.support.command_line import Zsr
from tests.support.exporting import running_exporter
from tests.support.mailserver import mail_server
from tests.support.prometheus import Prometheus, prometheus
from tests.support.statuses import FakeCore, healthy

RULES = sorted((Path(__file__).parents[2] / "alerts" / "rules").glob("*.yml"))
LOGIN = ("bob", "s3cr3t")


@pytest.mark.prometheus
@pytest.mark.timeout(120)
class TestPrometheus:
    @pytest_asyncio.fixture
    async def server(self, core: FakeCore, tmp_path: Path) -> AsyncIterator[Prometheus]:
        """One that has two of the three files of rules, and scrapes node alpha."""
        core.set_status(healthy("100-0"))
        async with (
            running_exporter(core) as address,
            prometheus(tmp_path / "prometheus", [address], rules=RULES[:2]) as server,
        ):
            await server.until("zsr_node_info")
            yield server

    async def test_its_rules_and_series_are_found_and_what_lacks_is_named(self, server: Prometheus) -> None:
        answers = await ask(server.url, 10.0)

        lines = rule_lines(Subject("rules", "alpha"), server.url, answers, own_rules())
        assert [line.level for line in lines] == [Level.WARN, Level.WARN]
        assert f"of zsr's {len(own_rules())} rules" in lines[0].text
        assert "no Alertmanager" in lines[1].text
        assert answers.rules.keys() < own_rules()
        assert scrape_line(Subject("scrape", "alpha"), server.url, answers).level is Level.OK
        assert scrape_line(Subject("scrape", "beta"), server.url, answers).level is Level.FAIL

    async def test_the_verb_asks_the_one_that_is_named(
        self,
        server: Prometheus,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        zsr = Zsr.on_alpha(tmp_path, capsys, monkeypatch)
        zsr.cluster_path.write_text('[nodes.alpha]\naddress = "127.0.0.1"\n')
        with zsr.settings_path.open("a") as settings:
            settings.write(f'[doctor]\nprometheus = "{server.url}"\n')

        said = await asyncio.to_thread(zsr, "doctor", "--format", "json")

        levels = {line["check"]: line["level"] for line in json.loads(said.out)["lines"]}
        assert (levels["rules"], levels["scrape"]) == ("warn", "ok")


class TestMail:
    @pytest.fixture
    def zsr(self, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Zsr:
        zsr = Zsr.on_alpha(tmp_path, capsys, monkeypatch)
        zsr.cluster_path.write_text('[nodes.alpha]\naddress = "127.0.0.1"\n')
        return zsr

    def route(self, zsr: Zsr, port: int, password: str) -> None:
        url = f"mailtos://{LOGIN[0]}:{password}@localhost:{port}?from=zsr@example.org&to=a@example.org"
        text = zsr.settings_path.read_text().partition("[[notify]]")[0]
        zsr.settings_path.write_text(f'{text}[[notify]]\nname = "mail"\nurl = "{url}"\n')
        zsr.settings_path.chmod(0o600)

    async def notified(self, zsr: Zsr, *options: str) -> dict[str, str]:
        said = await asyncio.to_thread(zsr, "doctor", "--format", "json", *options)
        assert LOGIN[1] not in said.out
        assert "expired-pw" not in said.out
        (line,) = (each for each in json.loads(said.out)["lines"] if each["check"] == "notify")
        return dict(line)

    async def test_it_logs_in_and_sends_a_mail_only_when_that_is_wanted(
        self, zsr: Zsr, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with mail_server(tmp_path, login=LOGIN) as server:
            monkeypatch.setenv("SSL_CERT_FILE", str(server.ca_file))
            self.route(zsr, server.port, LOGIN[1])
            assert (await self.notified(zsr))["level"] == "ok"
            assert server.received == []

            assert (await self.notified(zsr, "--send"))["level"] == "ok"
            assert len(server.received) == 1

    async def test_a_password_that_is_wrong_is_a_failure(
        self, zsr: Zsr, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with mail_server(tmp_path, login=LOGIN) as server:
            monkeypatch.setenv("SSL_CERT_FILE", str(server.ca_file))
            self.route(zsr, server.port, "expired-pw")
            line = await self.notified(zsr)

        assert line["level"] == "fail"
        assert "refused the log-in" in line["text"]
        assert line["advice"].endswith("zsr notify test mail")
