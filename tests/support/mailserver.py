"""A real SMTP server on loopback: TLS by an authority of its own, log-in, and the ways mail servers misbehave."""

from __future__ import annotations

import asyncio
import email
import email.policy
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from enum import Enum, auto
from pathlib import Path

import trustme
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


class Behaviour(Enum):
    """What the server does with a message."""

    ACCEPT = auto()
    REFUSE_RECIPIENT = auto()
    DEFER = auto()
    CLOSE_IN_DATA = auto()
    HANG = auto()


@dataclass(frozen=True)
class Received:
    """One message as it arrived."""

    message: EmailMessage
    recipients: tuple[str, ...]
    encrypted: bool

    @property
    def text(self) -> str:
        """The part in plain text."""
        part = self.message.get_body(("plain",))
        assert part is not None
        content = part.get_content()
        assert isinstance(content, str)
        return content.replace("\r\n", "\n").rstrip("\n")


@dataclass
class MailServer:
    """What a running server took, and how it shall behave (may be changed while it runs).

    ``coming``: how the next messages are treated, one each, before ``behaviour`` counts.
    """

    port: int = 0
    ca_file: Path = Path()
    behaviour: Behaviour = Behaviour.ACCEPT
    coming: list[Behaviour] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)
    seen: int = 0

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if (self.coming[0] if self.coming else self.behaviour) is Behaviour.REFUSE_RECIPIENT:
            self._next()
            return "550 5.1.1 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        behaviour = self._next()
        if behaviour is Behaviour.HANG:
            await asyncio.Event().wait()
        if behaviour is Behaviour.DEFER:
            return "451 4.7.1 greylisted, try later"
        if behaviour is Behaviour.CLOSE_IN_DATA:
            assert isinstance(server.transport, asyncio.Transport)
            server.transport.abort()
            return "421 closing"
        content = envelope.content
        assert isinstance(content, bytes)
        message = email.message_from_bytes(content, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        self.received.append(Received(message, tuple(envelope.rcpt_tos), session.ssl is not None))
        return "250 OK"

    def _next(self) -> Behaviour:
        """How the message that comes now is treated; it is counted."""
        self.seen += 1
        return self.coming.pop(0) if self.coming else self.behaviour


@asynccontextmanager
async def mail_server(
    directory: Path,
    *,
    login: tuple[str, str] | None = None,
    hostname: str = "localhost",
    listener: socket.socket | None = None,
) -> AsyncIterator[MailServer]:
    """A server that insists on STARTTLS; ``login`` makes it insist on that user and password too.

    Its authority's certificate is written to ``directory``; ``hostname`` is the name in the server's certificate.
    ``listener``: what it listens on, in place of loopback.
    """
    authority = trustme.CA()
    ca_file = directory / "mail-ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(hostname).configure_cert(context)
    handler = MailServer(ca_file=ca_file)

    def authenticate(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object) -> AuthResult:
        assert isinstance(data, LoginPassword)
        return AuthResult(success=(data.login.decode(), data.password.decode()) == login, handled=False)

    def protocol() -> SMTP:
        return SMTP(
            handler,
            hostname="mail.test",
            tls_context=context,
            require_starttls=True,
            authenticator=authenticate if login else None,
            auth_required=login is not None,
            loop=asyncio.get_running_loop(),
        )

    listener = listener or socket.create_server(("127.0.0.1", 0))
    server = await asyncio.get_running_loop().create_server(protocol, sock=listener)
    async with server:
        handler.port = server.sockets[0].getsockname()[1]
        yield handler


@asynccontextmanager
async def hanging_server() -> AsyncIterator[int]:
    """A port that takes connections and never says a word."""
    writers: list[asyncio.StreamWriter] = []

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        await reader.read(-1)

    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
        await asyncio.sleep(0)
