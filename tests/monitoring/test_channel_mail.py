"""Our own mail through a real SMTP server: parts, threads, TLS, log-in, and the ways in which servers misbehave."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC
from email.message import EmailMessage
from pathlib import Path

import pytest
import trustme
from aiosmtpd.smtp import SMTP, Envelope, Session

from alerts.channels.base import SendStatus
from alerts.channels.email import MailChannel
from alerts.channels.email_url import mail_settings
from alerts.notice import NoticeKind, Severity
from alerts.redaction import secrets_of
from alerts.render.renderer import MessageWriter, Renderer
from alerts.render.samples import sample
from tests.support.mailserver import Behaviour, MailServer, hanging_server, mail_server

NOW = 1_800_000_000.0
LOGIN = ("bob", "s3cr3t-p@ss")
FAILED = replace(sample(NoticeKind.FAILED, now=NOW), key="1", thread="incident-7")
STILL = replace(sample(NoticeKind.STILL_FAILING, now=NOW), key="2", thread="incident-7", opens=False)
WELL = replace(sample(NoticeKind.RECOVERED, now=NOW), key="3", thread="incident-7", opens=False, closes=True)


@pytest.fixture
async def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[MailServer]:
    async with mail_server(tmp_path) as running:
        monkeypatch.setenv("SSL_CERT_FILE", str(running.ca_file))
        yield running


def url(port: int, *, login: str = "", to: str = "admin@example.org", extra: str = "") -> str:
    return f"mailtos://{login}localhost:{port}?from=zsr@example.org&to={to}{extra}"


def channel(address: str, *, limit: float = 20.0, renderer: Renderer | None = None) -> MailChannel:
    settings = mail_settings(address)
    assert settings is not None
    return MailChannel(
        settings, MessageWriter(renderer or Renderer(), lambda: NOW, UTC), secrets_of(address), limit=limit
    )


def part(message: EmailMessage, kind: str) -> str:
    found = message.get_body((kind,))
    assert isinstance(found, EmailMessage)
    content = found.get_content()
    assert isinstance(content, str)
    return content.replace("\r\n", "\n")


async def test_a_mail_has_a_part_of_text_and_one_of_html(server: MailServer) -> None:
    sent = await channel(url(server.port)).send(FAILED)
    assert sent.ok, sent.reason
    (mail,) = server.received
    assert mail.encrypted
    assert mail.message["Subject"] == "Guest 100 web: replication failed (network), to beta"
    assert mail.message.get_content_type() == "multipart/alternative"
    assert [each.get_content_type() for each in mail.message.iter_parts()] == ["text/plain", "text/html"]
    assert "If alpha died now: guest 100 web would fall back to" in part(mail.message, "plain")
    assert "<h1" in part(mail.message, "html")


async def test_who_asks_for_text_gets_text_only(server: MailServer) -> None:
    assert (await channel(url(server.port, extra="&format=text")).send(FAILED)).ok
    assert server.received[0].message.get_content_type() == "text/plain"


async def test_the_mails_of_one_incident_are_one_thread(server: MailServer) -> None:
    for notice in (FAILED, STILL, WELL):
        assert (await channel(url(server.port)).send(notice)).ok
    first, *later = (mail.message for mail in server.received)
    assert first["In-Reply-To"] is None
    for mail in later:
        assert mail["In-Reply-To"] == mail["References"] == first["Message-ID"]
    assert len({mail.message["Message-ID"] for mail in server.received}) == 3


async def test_the_same_notice_sent_twice_is_the_same_mail(server: MailServer) -> None:
    for _ in range(2):
        assert (await channel(url(server.port)).send(STILL)).ok
    one, other = server.received
    assert one.message["Message-ID"] == other.message["Message-ID"]


async def test_incidents_are_threads_of_their_own(server: MailServer) -> None:
    for thread in ("one", "two"):
        await channel(url(server.port)).send(replace(FAILED, thread=thread))
    one, other = server.received
    assert one.message["Message-ID"] != other.message["Message-ID"]


async def test_a_mail_says_that_a_machine_wrote_it_and_what_filters_go_by(server: MailServer) -> None:
    await channel(url(server.port)).send(replace(FAILED, severity=Severity.CRITICAL))
    mail = server.received[0].message
    assert mail["Auto-Submitted"] == "auto-generated"
    assert (mail["X-Zsr-Event"], mail["X-Zsr-Severity"], mail["X-Zsr-Node"]) == ("failed", "critical", "alpha")
    assert mail["Importance"] == "high"


async def test_a_user_may_say_something_else_in_a_header(server: MailServer) -> None:
    extra = "&%2BAuto-Submitted=auto-notified&%2BX-Team=storage"
    await channel(url(server.port, extra=extra)).send(FAILED)
    mail = server.received[0].message
    assert (mail.get_all("Auto-Submitted"), mail["X-Team"]) == (["auto-notified"], "storage")


async def test_umlauts_dots_and_long_lines_survive_the_way(server: MailServer, tmp_path: Path) -> None:
    body = "Zeile ü\n.\n..mit Punkten\n" + "x" * 3000
    (tmp_path / "failed.txt").write_text(body)
    (tmp_path / "failed.title").write_text("Gast 100 – Müllhalde")
    assert (await channel(url(server.port), renderer=Renderer(tmp_path)).send(FAILED)).ok
    mail = server.received[0].message
    assert mail["Subject"] == "Gast 100 – Müllhalde"
    assert part(mail, "plain").rstrip("\n") == body


async def test_copies_and_names_and_answers_are_as_the_url_says(server: MailServer) -> None:
    extra = "&cc=cc@example.org&bcc=bcc@example.org&reply=desk@example.org&name=Night%20watch"
    assert (await channel(url(server.port, to="a@example.org,b@example.org", extra=extra)).send(FAILED)).ok
    (mail,) = server.received
    assert sorted(mail.recipients) == ["a@example.org", "b@example.org", "bcc@example.org", "cc@example.org"]
    assert mail.message["To"] == "a@example.org, b@example.org"
    assert (mail.message["Cc"], mail.message["Bcc"]) == ("cc@example.org", None)
    assert mail.message["Reply-To"] == "desk@example.org"
    assert mail.message["From"] == "Night watch <zsr@example.org>"


async def test_a_mail_is_sent_after_a_log_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with mail_server(tmp_path, login=LOGIN) as server:
        monkeypatch.setenv("SSL_CERT_FILE", str(server.ca_file))
        sent = await channel(url(server.port, login="bob:s3cr3t-p%40ss@")).send(FAILED)
        assert sent.ok, sent.reason


async def test_a_wrong_password_is_named_as_such_and_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with mail_server(tmp_path, login=LOGIN) as server:
        monkeypatch.setenv("SSL_CERT_FILE", str(server.ca_file))
        sent = await channel(url(server.port, login="bob:wr0ng-p4ss@")).send(FAILED)
        assert "refused the log-in: 535" in sent.reason
        assert sent.permanent
        assert "wr0ng-p4ss" not in repr(sent)


async def test_tls_from_the_first_byte_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    handler = MailServer()
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(lambda: SMTP(handler, loop=loop), "127.0.0.1", 0, ssl=context)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        sent = await channel(url(port, extra="&mode=ssl")).send(FAILED)
    assert sent.ok, sent.reason
    assert len(handler.received) == 1


@pytest.mark.parametrize("hostname", ["localhost", "mail.example.org"])
async def test_a_certificate_that_is_not_trusted_gets_no_mail(
    tmp_path: Path, hostname: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with mail_server(tmp_path, hostname=hostname) as server:
        if hostname != "localhost":  # of a known authority, but another's
            monkeypatch.setenv("SSL_CERT_FILE", str(server.ca_file))
        sent = await channel(url(server.port)).send(FAILED)
        assert "certificate is not trusted" in sent.reason
        assert server.received == []


@pytest.mark.parametrize(
    ("behaviour", "said", "permanent"),
    [
        (Behaviour.REFUSE_RECIPIENT, "refused the message: 550", True),
        (Behaviour.DEFER, "for now: 451", False),
        (Behaviour.CLOSE_IN_DATA, "may have arrived", False),
    ],
)
async def test_a_refusal_of_the_server_is_reported(
    server: MailServer, behaviour: Behaviour, said: str, permanent: bool
) -> None:
    server.behaviour = behaviour
    sent = await channel(url(server.port)).send(FAILED)
    assert not sent.ok
    assert said in sent.reason
    assert sent.permanent is permanent
    assert server.seen == 1


class RefusesOne(MailServer):
    """Does not know bob."""

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address.startswith("bob") and self.behaviour is Behaviour.REFUSE_RECIPIENT:
            return "450 4.2.1 later"
        envelope.rcpt_tos.append(address)
        return "250 OK"


async def test_who_has_a_mail_is_not_sent_it_again_because_another_was_refused() -> None:
    handler = RefusesOne(behaviour=Behaviour.REFUSE_RECIPIENT)
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(lambda: SMTP(handler, loop=loop), "127.0.0.1", 0)
    async with listening:
        address = url(
            listening.sockets[0].getsockname()[1], to="ann@example.org,bob@example.org", extra="&mode=insecure"
        )
        both = channel(address)
        first = await both.send(FAILED)
        assert "1 of 2 recipients were refused" in first.reason
        handler.behaviour = Behaviour.ACCEPT
        assert (await both.send(FAILED)).ok
    assert [mail.recipients for mail in handler.received] == [("ann@example.org",), ("bob@example.org",)]


async def test_a_port_where_nothing_listens_is_named(unused_tcp_port: int) -> None:
    assert "refused" in (await channel(url(unused_tcp_port)).send(FAILED)).reason


async def test_a_server_that_never_speaks_is_given_up_and_not_asked_twice_at_once() -> None:
    async with hanging_server() as port:
        hanging = channel(url(port), limit=0.2)
        assert (await hanging.send(FAILED)).status is SendStatus.TIMEOUT
        again = await hanging.send(FAILED)
        assert "still hangs" in again.reason


async def test_a_header_that_cannot_be_one_fails_and_says_nothing_of_it(server: MailServer) -> None:
    sent = await channel(url(server.port, extra="&%2BX-Key=a%0Ab-s3cret-h3ader")).send(FAILED)
    assert not sent.ok
    assert "s3cret-h3ader" not in sent.reason
    assert server.received == []


def test_pgp_is_left_to_apprise() -> None:
    assert mail_settings(url(25, extra="&pgp=sign")) is None


def test_the_settings_do_not_show_what_is_in_the_url() -> None:
    settings = mail_settings(url(587, login="bob:s3cr3t-p%40ss@"))
    assert not any(secret in repr(settings) for secret in ("bob", "s3cr3t", "localhost", "example.org"))
