"""Mail through a real SMTP server over STARTTLS, read back; and what is said when it does not get through."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from alerts.channel import Sent
from alerts.messages import Message
from alerts.noticing import Sender, telling_notice
from alerts.policy import Memory, Telling
from alerts.redaction import guarded_logs, secrets_of
from alerts.targets import Target
from alerts.trial import Trial, send_through, try_targets
from alerts.wording import compose
from replicator.errors import ErrorClass
from replicator.events import RunFailed
from replicator.jobs import JobId
from tests import statuses
from tests.monitoring.mailserver import Behaviour, MailServer, hanging_server, mail_server

LOGIN = ("bob", "s3cr3t-p@ss")


@pytest.fixture
async def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[MailServer]:
    async with mail_server(tmp_path) as running:
        monkeypatch.setenv("SSL_CERT_FILE", str(running.ca_file))
        yield running


def url(port: int, *, login: str = "", extra: str = "") -> str:
    return f"mailtos://{login}localhost:{port}?from=zsr@example.org&to=admin@example.org{extra}"


def message() -> Message:
    event = RunFailed(
        time=statuses.NOW - 120,
        job=JobId(100, 0),
        run=7,
        error_class=ErrorClass.NETWORK,
        message="Node beta does not answer on port 22.",
        advice="Check that the node is up.",
        consecutive=2,
        failing_since=statuses.NOW - 4500,
        last_sync=statuses.NOW - 5400,
        next_run=statuses.NOW + 780,
    )
    picture = statuses.status(statuses.failing(), now=statuses.NOW)
    telling = Telling(((1, event),), {"100-0": None})
    return compose(telling_notice(telling, picture, Memory(), Sender("alpha", "mail")), statuses.NOW, ZoneInfo("UTC"))


async def send(address: str, told: Message | None = None, *, limit: float = 20.0) -> Sent:
    with guarded_logs(secrets_of(address)) as guard:
        return await send_through(Target("mail", address), told or message(), guard, limit=limit)


async def test_a_mail_arrives_over_verified_tls_with_title_as_subject_and_plain_text(server: MailServer) -> None:
    sent = await send(url(server.port))
    assert sent.ok, sent.reason
    (mail,) = server.received
    assert mail.encrypted
    assert mail.recipients == ("admin@example.org",)
    assert mail.message["Subject"] == message().title
    assert mail.message.get_content_type() == "text/plain"
    assert mail.text == message().body


async def test_a_mail_says_that_a_machine_wrote_it(server: MailServer) -> None:
    await send(url(server.port))
    assert server.received[0].message["Auto-Submitted"] == "auto-generated"


async def test_a_user_may_say_something_else_in_the_header(server: MailServer) -> None:
    await send(url(server.port, extra="&%2BAuto-Submitted=auto-notified"))
    assert server.received[0].message["Auto-Submitted"] == "auto-notified"


async def test_umlauts_and_dots_survive_the_way(server: MailServer) -> None:
    told = Message(message().kind, "Gast für 100 – Müllhalde", "Zeile\n.\n..mit Punkten ü")
    assert (await send(url(server.port), told)).ok
    (mail,) = server.received
    assert mail.message["Subject"] == told.title
    assert mail.text == told.body


async def test_a_mail_is_sent_after_a_log_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with mail_server(tmp_path, login=LOGIN) as server:
        monkeypatch.setenv("SSL_CERT_FILE", str(server.ca_file))
        sent = await send(url(server.port, login="bob:s3cr3t-p%40ss@"))
        assert sent.ok, sent.reason
        assert len(server.received) == 1


async def test_a_wrong_password_is_named_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with mail_server(tmp_path, login=LOGIN) as server:
        monkeypatch.setenv("SSL_CERT_FILE", str(server.ca_file))
        sent = await send(url(server.port, login="bob:wr0ng-p4ss@"))
        assert "log-in" in sent.reason
        assert "wr0ng-p4ss" not in sent.reason


async def test_an_unknown_certificate_is_refused_and_named(tmp_path: Path) -> None:
    async with mail_server(tmp_path) as server:
        sent = await send(url(server.port))
        assert not sent.ok
        assert "certificate is not trusted" in sent.reason
        assert server.received == []


async def test_a_certificate_for_another_host_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with mail_server(tmp_path, hostname="mail.example.org") as server:
        monkeypatch.setenv("SSL_CERT_FILE", str(server.ca_file))
        assert "certificate is not trusted" in (await send(url(server.port))).reason


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        (Behaviour.REFUSE_RECIPIENT, "550"),
        (Behaviour.DEFER, "for now: 451"),
        (Behaviour.CLOSE_IN_DATA, "hung up"),
    ],
)
async def test_what_the_server_says_no_to_is_told(server: MailServer, behaviour: Behaviour, said: str) -> None:
    server.behaviour = behaviour
    sent = await send(url(server.port))
    assert not sent.ok
    assert said in sent.reason
    assert server.seen == 1


async def test_a_port_where_nothing_listens_is_named(unused_tcp_port: int) -> None:
    assert "refused" in (await send(url(unused_tcp_port))).reason


async def test_a_server_that_never_speaks_is_given_up_in_time() -> None:
    async with hanging_server() as port:
        sent = await send(url(port, extra="&cto=1"), limit=10)
        assert not sent.ok
        assert "did not answer in time" in sent.reason
        assert sent.seconds < 10


async def test_the_trial_tries_all_targets_and_names_each_result(server: MailServer, unused_tcp_port: int) -> None:
    targets = [Target("good", url(server.port)), Target("bad", url(unused_tcp_port))]
    good, bad = await try_targets(targets, "alpha")
    assert isinstance(good, Trial)
    assert (good.target, good.kind, good.status.value, good.reason) == ("good", "mailtos", "ok", "")
    assert (bad.target, bad.status.value) == ("bad", "failed")
    assert "refused" in bad.reason
    assert "alpha" in str(server.received[0].message["Subject"])
