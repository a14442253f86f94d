"""Builds the MIME message: parts, headers, and threading (Message-ID, References) per incident. Pure.

The Message-ID is derived from the notice's key, so a mail client shows a mail that was sent twice once. The first mail
of an incident has an ID derived from its thread, to which all later ones refer: also one that was sent by another
process, months ago.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, formataddr, localtime

from alerts.channels.email_url import Address, MailSettings
from alerts.notice import Notice, Severity
from alerts.render.renderer import Rendered

_POLICY = SMTP.clone(cte_type="7bit")
"""Seven bits only: a server need not know 8BITMIME."""


def mail_of(notice: Notice, settings: MailSettings, text: Rendered, html: Rendered | None, now: float) -> EmailMessage:
    """The mail of a notice. ``html`` None: it is plain text only. ``now`` is its date, in unix time.

    Raises:
        ValueError: a header of the settings is not valid.
    """
    mail = EmailMessage(policy=_POLICY)
    mail["Subject"] = text.title
    mail["From"] = _written([settings.sender])
    mail["To"] = _written(settings.to)
    if settings.cc:
        mail["Cc"] = _written(settings.cc)
    if settings.reply_to:
        mail["Reply-To"] = _written(settings.reply_to)
    mail["Date"] = format_datetime(localtime(datetime.fromtimestamp(now, UTC)))
    for name, value in _thread_headers(notice, settings.sender[1].rpartition("@")[2]).items():
        mail[name] = value
    for name, value in _own_headers(notice).items():
        mail[name] = value
    for name, value in settings.headers.items():
        del mail[name]
        mail[name] = value
    mail.set_content(text.body + "\n")
    if html is not None:
        mail.add_alternative(html.body, subtype="html")
    return mail


def message_id(text: str, domain: str) -> str:
    """An ID that is always the same for the same text."""
    return f"<zsr.{hashlib.sha256(text.encode()).hexdigest()[:32]}@{domain}>"


def _thread_headers(notice: Notice, domain: str) -> dict[str, str]:
    root = message_id(f"thread {notice.thread}", domain)
    if notice.opens:
        return {"Message-ID": root}
    return {"Message-ID": message_id(f"notice {notice.key}", domain), "In-Reply-To": root, "References": root}


def _own_headers(notice: Notice) -> dict[str, str]:
    """Headers that mark the mail as automatic (RFC 3834, and for Exchange), and those for filters."""
    headers = {
        "Auto-Submitted": "auto-generated",
        "X-Auto-Response-Suppress": "All",
        "X-Zsr-Event": str(notice.kind),
        "X-Zsr-Severity": str(notice.severity),
        "X-Zsr-Node": "".join(char for char in notice.node if char.isascii() and char.isprintable()),
    }
    if notice.severity is Severity.CRITICAL:
        headers["Importance"] = "high"
    return headers


def _written(addresses: Iterable[Address]) -> str:
    return ", ".join(formataddr((name, address)) for name, address in addresses)
