"""Carry notices by mail: one SMTP session for each, over TLS whose certificate is checked, in a thread of its own.

Our own and not apprise's, whose mails are of one format, form no threads, and are sent again to all recipients when one
of them was refused.
"""

from __future__ import annotations

import smtplib
import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from alerts.channels.attempts import Attempts
from alerts.channels.base import SEND_TIMEOUT_SECONDS, SendStatus, Sent
from alerts.channels.email_message import mail_of
from alerts.channels.email_url import MailSettings
from alerts.channels.error_text import explain_failure
from alerts.notice import Notice
from alerts.redaction import redact
from alerts.render.renderer import Form, MessageWriter

FAREWELL_SECONDS = 2.0
"""Seconds that a server gets to say goodbye; the message is delivered by then."""
REMEMBERED = 20
"""Messages of which some recipients were refused, and the others are remembered."""


class MailChannel:
    """One mail target. ``secrets``: what of its settings must not be shown; ``limit``: seconds of one attempt."""

    def __init__(
        self,
        settings: MailSettings,
        writer: MessageWriter,
        secrets: frozenset[str],
        *,
        limit: float = SEND_TIMEOUT_SECONDS,
    ) -> None:
        self._settings = settings
        self._writer = writer
        self._secrets = secrets
        self._attempts = Attempts(limit)
        self._taken: dict[str, set[str]] = {}

    async def send(self, notice: Notice) -> Sent:
        """Try once. Never raises but for being cancelled; a cancelled attempt may still get through."""
        return await self._attempts.run(notice.key, lambda: self._attempt(notice))

    def _attempt(self, notice: Notice) -> Sent:
        began = time.monotonic()
        try:
            refused = self._submit(notice)
        except (OSError, smtplib.SMTPException, ValueError) as error:
            return self._failure(error, time.monotonic() - began)
        if not refused:
            self._taken.pop(notice.key, None)
            return Sent(SendStatus.DELIVERED, "", time.monotonic() - began)
        code, text = next(iter(refused.values()))
        said = explain_failure([redact(str((code, text)), self._secrets)])
        count = len(self._settings.recipients)
        reason = f"{len(refused)} of {count} recipients were refused, the others have it. {said}"
        return Sent(SendStatus.FAILED, reason, time.monotonic() - began, permanent=code >= 500)

    def _submit(self, notice: Notice) -> dict[str, tuple[int, bytes]]:
        """Send to all who do not have it yet; gives those who were refused beside others who were not."""
        settings = self._settings
        text = self._writer.write(notice, Form.TEXT)
        html = self._writer.write(notice, Form.HTML) if settings.html else None
        mail = mail_of(notice, settings, text, html, self._writer.clock())
        has_it = self._taken.get(notice.key, set())
        waiting = [address for address in settings.recipients if address not in has_it]
        with session(settings) as smtp:
            refused = smtp.send_message(mail, settings.sender[1], waiting)
        if refused:
            self._remember(notice.key, [address for address in waiting if address not in refused])
        return refused

    def _remember(self, key: str, taken: Sequence[str]) -> None:
        self._taken.setdefault(key, set()).update(taken)
        while len(self._taken) > REMEMBERED:
            del self._taken[next(iter(self._taken))]

    def _failure(self, error: Exception, seconds: float) -> Sent:
        code = error.smtp_code if isinstance(error, smtplib.SMTPResponseException) else 0
        told = str(error)
        if isinstance(error, smtplib.SMTPRecipientsRefused):
            code, text = next(iter(error.recipients.values()))
            told = str((code, text))
        reason = explain_failure([redact(told, self._secrets)], "the mail library")
        status = SendStatus.TIMEOUT if isinstance(error, TimeoutError) else SendStatus.FAILED
        return Sent(status, reason, seconds, permanent=code >= 500 or isinstance(error, ValueError))


@contextmanager
def session(settings: MailSettings) -> Iterator[smtplib.SMTP]:
    """A session with the mail server, encrypted and logged in as the settings say.

    Raises:
        OSError, smtplib.SMTPException: it cannot be had.
    """
    context = ssl.create_default_context()
    if not settings.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if settings.mode == "ssl":
        smtp: smtplib.SMTP = smtplib.SMTP_SSL(settings.host, settings.port, timeout=settings.timeout, context=context)
    else:
        smtp = smtplib.SMTP(settings.host, settings.port, timeout=settings.timeout)
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
