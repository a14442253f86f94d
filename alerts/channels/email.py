"""Sends notices by mail: one SMTP session for each, with a checked certificate, in a thread of its own.

Not through apprise, whose mails have one format, form no threads, and are sent again to all recipients when one of them
was refused.
"""

from __future__ import annotations

import smtplib
import time
from collections.abc import Sequence

from alerts.channels.attempts import Attempts
from alerts.channels.base import SendStatus, Sent
from alerts.channels.email_message import mail_of
from alerts.channels.email_url import MailSettings
from alerts.channels.error_text import explain_failure
from alerts.channels.smtp import RFC_WAITS, UnknownEndError, Waits, session
from alerts.notice import Notice
from alerts.redaction import redact
from alerts.render.renderer import Form, MessageWriter

UNKNOWN_END = "The connection ended after the whole message, before the server answered; the message may have arrived."
"""Why it is sent again: with the same Message-ID, by which a mailbox can drop the second one."""
REMEMBERED = 20
"""Messages with refused recipients whose other recipients are remembered."""


class MailChannel:
    """One mail target.

    ``secrets``: what of its settings must not be shown. ``waits``: seconds of each step of a session. ``limit``:
    seconds of one attempt; None: as long as its steps may take.
    """

    def __init__(
        self,
        settings: MailSettings,
        writer: MessageWriter,
        secrets: frozenset[str],
        *,
        limit: float | None = None,
        waits: Waits = RFC_WAITS,
    ) -> None:
        self._settings = settings
        self._writer = writer
        self._secrets = secrets
        self._waits = waits
        self._attempts = Attempts(waits.whole(len(settings.recipients)) if limit is None else limit)
        self._accepted: dict[str, set[str]] = {}

    async def send(self, notice: Notice) -> Sent:
        """Try once. Raises nothing but CancelledError; a cancelled attempt may still be delivered."""
        return await self._attempts.run(notice.key, lambda: self._attempt(notice))

    def _attempt(self, notice: Notice) -> Sent:
        began = time.monotonic()
        try:
            refused = self._submit(notice)
        except (OSError, smtplib.SMTPException, ValueError) as error:
            return mail_failure(error, self._secrets, time.monotonic() - began)
        if not refused:
            self._accepted.pop(notice.key, None)
            return Sent(SendStatus.DELIVERED, "", time.monotonic() - began)
        code, text = next(iter(refused.values()))
        why = explain_failure([redact(str((code, text)), self._secrets)])
        count = len(self._settings.recipients)
        reason = f"{len(refused)} of {count} recipients were refused, the others have it. {why}"
        return Sent(SendStatus.FAILED, reason, time.monotonic() - began, permanent=code >= 500)

    def _submit(self, notice: Notice) -> dict[str, tuple[int, bytes]]:
        """Send to all recipients that do not have it yet; returns the refused ones if others were accepted."""
        settings = self._settings
        text = self._writer.write(notice, Form.TEXT)
        html = self._writer.write(notice, Form.HTML) if settings.html else None
        mail = mail_of(notice, settings, text, html, self._writer.clock())
        accepted = self._accepted.get(notice.key, set())
        waiting = [address for address in settings.recipients if address not in accepted]
        with session(settings, self._waits) as smtp:
            refused = smtp.send_message(mail, settings.sender[1], waiting)
        if refused:
            self._remember(notice.key, [address for address in waiting if address not in refused])
        return refused

    def _remember(self, key: str, accepted: Sequence[str]) -> None:
        self._accepted.setdefault(key, set()).update(accepted)
        while len(self._accepted) > REMEMBERED:
            del self._accepted[next(iter(self._accepted))]


def mail_failure(error: Exception, secrets: frozenset[str], seconds: float) -> Sent:
    """The result of a session that ended with an error; ``secrets`` are not shown."""
    if isinstance(error, UnknownEndError):
        return Sent(SendStatus.TIMEOUT, UNKNOWN_END, seconds)
    code = error.smtp_code if isinstance(error, smtplib.SMTPResponseException) else 0
    text = str(error)
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code, reply = next(iter(error.recipients.values()))
        text = str((code, reply))
    reason = explain_failure([redact(text, secrets)], "the mail library")
    status = SendStatus.TIMEOUT if isinstance(error, TimeoutError) else SendStatus.FAILED
    return Sent(status, reason, seconds, permanent=code >= 500 or isinstance(error, ValueError))
