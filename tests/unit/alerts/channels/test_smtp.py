"""How long mail waits for a server, who it says it is, and what an end without an answer means."""

from __future__ import annotations

import asyncio
import email
import smtplib
import socket
import threading
from dataclasses import replace
from datetime import UTC

import pytest

from alerts.channels.attempts import Attempts
from alerts.channels.base import SendStatus, Sent
from alerts.channels.email import MailChannel
from alerts.channels.email_url import MailSettings, mail_settings
from alerts.channels.smtp import RFC_WAITS, Waits, ehlo_name, verify
from alerts.notice import NoticeKind
from alerts.render.renderer import MessageWriter, Renderer
from alerts.render.samples import sample
from tests.support.slow_smtp import slow_server

NOTICE = sample(NoticeKind.FAILED, now=1_800_000_000.0)
HURRIED = Waits(*[0.15] * 7)
STEPS = {"greeting": "greeting", "command": "ehlo", "mail": "mail", "recipient": "rcpt", "data": "data", "end": "end"}
"""The wait for each step of the server."""


def settings(port: int, to: str = "admin@example.org") -> MailSettings:
    made = mail_settings(f"mailto://localhost:{port}?from=zsr@example.org&to={to}")
    assert made is not None
    return made


def channel(port: int, waits: Waits = RFC_WAITS) -> MailChannel:
    writer = MessageWriter(Renderer(), lambda: 1_800_000_000.0, UTC)
    return MailChannel(settings(port), writer, frozenset(), waits=waits)


def test_the_waits_are_those_of_rfc_5321() -> None:
    minutes = [each / 60 for each in (RFC_WAITS.greeting, RFC_WAITS.mail, RFC_WAITS.recipient, RFC_WAITS.data)]
    assert minutes == [5, 5, 5, 2]
    assert (RFC_WAITS.block / 60, RFC_WAITS.end / 60) == (3, 10)
    assert RFC_WAITS.whole(2) - RFC_WAITS.whole(1) == RFC_WAITS.recipient


@pytest.mark.parametrize("wait", STEPS)
async def test_a_step_may_take_its_own_time_and_no_more(wait: str) -> None:
    async with slow_server() as server:
        server.pauses = {STEPS[wait]: 0.4}
        assert not (await channel(server.port, HURRIED).send(NOTICE)).ok
        sent = await channel(server.port, replace(HURRIED, **{wait: 5.0})).send(NOTICE)
        assert sent.ok, sent.reason


async def test_the_time_to_connect_is_not_the_time_to_answer() -> None:
    async with slow_server() as server:
        server.pauses = {"greeting": 0.3, "end": 0.3}
        patient = MailChannel(
            replace(settings(server.port), timeout=0.1),
            MessageWriter(Renderer(), lambda: 1_800_000_000.0, UTC),
            frozenset(),
        )
        sent = await patient.send(NOTICE)
        assert sent.ok, sent.reason


async def test_a_connection_that_ends_after_the_final_dot_may_have_delivered_and_the_repetition_has_the_same_id() -> (
    None
):
    async with slow_server() as server:
        server.hang_up = "end"
        mail = channel(server.port)
        sent = await mail.send(NOTICE)
        assert (sent.status, sent.permanent) == (SendStatus.TIMEOUT, False)
        assert "may have arrived" in sent.reason
        server.hang_up = ""
        assert (await mail.send(NOTICE)).ok
        first, second = (email.message_from_bytes(message)["Message-ID"] for message in server.messages)
        assert first == second


@pytest.mark.parametrize("step", ["mail", "rcpt", "data"])
async def test_a_connection_that_ends_before_is_no_doubt(step: str) -> None:
    async with slow_server() as server:
        server.hang_up = step
        sent = await channel(server.port).send(NOTICE)
        assert (sent.status, "may have" in sent.reason) == (SendStatus.FAILED, False)


async def test_a_connection_that_ends_after_the_answer_has_delivered() -> None:
    async with slow_server() as server:
        server.hang_up = "quit"
        assert (await channel(server.port).send(NOTICE)).ok


async def test_verification_sends_nothing() -> None:
    async with slow_server() as server:
        await asyncio.to_thread(verify, settings(server.port))
        assert server.commands == ["ehlo", "noop", "quit"]
        server.hang_up = "noop"
        with pytest.raises(smtplib.SMTPServerDisconnected):
            await asyncio.to_thread(verify, settings(server.port))


@pytest.mark.parametrize(
    ("full", "said"),
    [
        ("alpha.example.org", "alpha.example.org"),
        ("alpha.example.org.", "alpha.example.org"),
        ("alpha", "[127.0.0.1]"),
        ("localhost.localdomain", "[127.0.0.1]"),
        ("alpha.localdomain", "[127.0.0.1]"),
        ("my_host.example.org", "[127.0.0.1]"),
        ("192.0.2.7", "[127.0.0.1]"),
        ("-a.example.org", "[127.0.0.1]"),
    ],
)
async def test_a_server_gets_a_full_name_or_the_address_it_sees(
    full: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getfqdn", lambda: full)
    async with slow_server() as server:
        assert (await channel(server.port).send(NOTICE)).ok
        assert server.names == [said]


def test_an_address_of_ip_6_is_a_literal_with_its_tag(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getfqdn", lambda: "alpha")
    with socket.socket(socket.AF_INET6) as listening, socket.socket(socket.AF_INET6) as calling:
        try:
            listening.bind(("::1", 0))
        except OSError:
            pytest.skip("this host has no IPv6")
        listening.listen()
        calling.connect(listening.getsockname())
        assert ehlo_name(calling) == "[IPv6:::1]"


async def test_an_attempt_that_got_through_late_is_not_made_again_after_another_was_tried() -> None:
    attempts, goes_on, calls = Attempts(0.05), threading.Event(), list[str]()

    def slow() -> Sent:
        calls.append("slow")
        goes_on.wait(10)
        return Sent(SendStatus.DELIVERED, "", 0.0)

    def quick() -> Sent:
        calls.append("quick")
        return Sent(SendStatus.DELIVERED, "", 0.0)

    assert (await attempts.run("a", slow)).status is SendStatus.TIMEOUT
    goes_on.set()
    for _ in range(1000):
        if (await attempts.run("b", quick)).ok:
            break
        await asyncio.sleep(0.01)
    assert (await attempts.run("a", slow)).ok
    assert calls == ["slow", "quick"]
