"""One SMTP session: it waits for each step as long as RFC 5321 asks for, and says who it is by a name servers accept.

A server may take minutes for a step: it delays its greeting against spam, looks up senders, scans the message. A client
that hangs up earlier may have sent a message that it believes lost, and sends it again.
"""

from __future__ import annotations

import re
import smtplib
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from ipaddress import ip_address

from alerts.channels.email_url import MailSettings

FAREWELL_SECONDS = 2.0
"""Seconds that a server gets to say goodbye; the message is delivered by then."""
BLOCK_BYTES = 65_536
"""Bytes of a message that are sent at once, each block within its own time."""

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.IGNORECASE | re.ASCII)
_LOCAL_ENDS = ("localhost", "localdomain")


@dataclass(frozen=True, slots=True)
class Waits:
    """Seconds that each step may take: the least that RFC 5321, 4.5.3.2, asks for.

    ``command`` is for those that it does not name: EHLO, STARTTLS, AUTH and NOOP.
    """

    greeting: float = 300.0
    command: float = 300.0
    mail: float = 300.0
    recipient: float = 300.0
    data: float = 120.0
    block: float = 180.0
    end: float = 600.0

    def whole(self, recipients: int) -> float:
        """Seconds that a whole session may take, with a message of one block."""
        session = self.greeting + 5 * self.command + self.mail + recipients * self.recipient
        return session + self.data + self.block + self.end


RFC_WAITS = Waits()


class UnknownEndError(smtplib.SMTPException):
    """The connection ended after the whole message was sent and before the server answered: it may have arrived."""


class PatientSmtp(smtplib.SMTP):
    """A session that gives each step its own time. ``tls``: speaks TLS from the first byte on."""

    def __init__(self, settings: MailSettings, waits: Waits, tls: ssl.SSLContext | None) -> None:
        self._waits = waits
        self._tls = tls
        # The name is known when there is a connection; the empty one only keeps smtplib from looking for one.
        super().__init__(settings.host, settings.port, local_hostname="", timeout=settings.timeout)
        self.local_hostname = ehlo_name(self.sock)
        self._wait(waits.command)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        connection = socket.create_connection((host, port), timeout, self.source_address)
        connection.settimeout(self._waits.greeting)
        return connection if self._tls is None else self._tls.wrap_socket(connection, server_hostname=host)

    def mail(self, sender: str, options: object = ()) -> tuple[int, bytes]:
        """Name the sender."""
        self._wait(self._waits.mail)
        return super().mail(sender, tuple(options) if isinstance(options, list | tuple) else ())

    def rcpt(self, recip: str, options: object = ()) -> tuple[int, bytes]:
        """Name a recipient."""
        self._wait(self._waits.recipient)
        return super().rcpt(recip, tuple(options) if isinstance(options, list | tuple) else ())

    def data(self, msg: object) -> tuple[int, bytes]:
        """Send the message.

        Raises:
            UnknownEndError: the connection ended after the message and before the answer.
        """
        if not isinstance(msg, bytes):
            raise TypeError("a message is sent as bytes")
        self._wait(self._waits.data)
        self.putcmd("data")
        code, reply = self.getreply()
        if code != 354:
            raise smtplib.SMTPDataError(code, reply)
        ending = b"" if msg.endswith(b"\r\n") else b"\r\n"
        quoted = re.sub(rb"(?m)^\.", b"..", msg) + ending + b".\r\n"
        for begin in range(0, len(quoted), BLOCK_BYTES):
            self._wait(self._waits.block)
            self.send(quoted[begin : begin + BLOCK_BYTES])
        self._wait(self._waits.end)
        try:
            return self.getreply()
        except (smtplib.SMTPServerDisconnected, OSError) as error:
            raise UnknownEndError(str(error)) from error

    def _wait(self, seconds: float) -> None:
        """Give the next step so many seconds."""
        if self.sock is not None:
            self.sock.settimeout(seconds)


def ehlo_name(connection: socket.socket | None) -> str:
    """The name for EHLO: this host's full name, or else the address of the connection's own end as a literal.

    Servers refuse a bare name like ``alpha``, and names of the loopback like ``localhost.localdomain``.
    """
    name = socket.getfqdn().rstrip(".")
    labels = name.split(".")
    is_local = labels[-1].lower() in _LOCAL_ENDS
    if len(labels) > 1 and not is_local and all(_LABEL.fullmatch(label) for label in labels) and not _is_address(name):
        return name
    address = "127.0.0.1" if connection is None else str(connection.getsockname()[0]).partition("%")[0]
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


@contextmanager
def session(settings: MailSettings, waits: Waits = RFC_WAITS) -> Iterator[PatientSmtp]:
    """A session with the mail server, encrypted and logged in as the settings say.

    Raises:
        OSError, smtplib.SMTPException: the connection or the log-in failed.
    """
    context = ssl.create_default_context()
    if not settings.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    smtp = PatientSmtp(settings, waits, context if settings.mode == "ssl" else None)
    try:
        if settings.mode == "starttls":
            smtp.starttls(context=context)
        if settings.user and settings.password:
            smtp.login(settings.user, settings.password)
        yield smtp
    finally:
        with suppress(OSError, smtplib.SMTPException):
            if smtp.sock is not None:
                smtp.sock.settimeout(FAREWELL_SECONDS)
                smtp.quit()
        smtp.close()


def verify(settings: MailSettings, waits: Waits = RFC_WAITS) -> None:
    """Prove that the server takes the log-in, and send nothing: EHLO, STARTTLS, AUTH, NOOP, QUIT.

    Raises:
        OSError, smtplib.SMTPException: the connection or the log-in failed, or the server refused NOOP.
    """
    with session(settings, waits) as smtp:
        smtp.ehlo_or_helo_if_needed()
        code, reply = smtp.noop()
        if code != 250:
            raise smtplib.SMTPResponseException(code, reply)
