"""Proves that a target would take a message, without sending one, as far as its protocol allows that."""

from __future__ import annotations

import smtplib
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from alerts.channels.alertmanager import STATUS_PATH, AlertmanagerSettings
from alerts.channels.attempts import Attempts
from alerts.channels.base import SendStatus, Sent
from alerts.channels.email import mail_failure
from alerts.channels.email_url import MailSettings, mail_settings
from alerts.channels.http import Request, exchange
from alerts.channels.settings import ChannelConfig, PingSettings, ServiceSettings
from alerts.channels.smtp import RFC_WAITS, verify
from alerts.channels.webhook import WebhookSettings

WEBHOOK_UNPROVEN = "It answers; whether it takes the token is known only by a message: zsr notify test."
PING_UNCHECKED = "Each request to it is a ping; every run makes one, and the service notices a missing one."
SERVICE_UNCHECKED = "apprise can check it only by a message: zsr notify test."


class Proof(StrEnum):
    """What is known of a target without a message: its credentials are right, it answers, nothing, or it fails."""

    PROVEN = "ok"
    REACHABLE = "reachable"
    UNCHECKED = "unchecked"
    FAILED = "failed"
    TIMEOUT = "timeout"


@dataclass(frozen=True, slots=True)
class Verified:
    """The result of one check: ``reason`` is a sentence, empty when all is proven."""

    proof: Proof
    reason: str
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong, as far as it can be known."""
        return self.proof not in (Proof.FAILED, Proof.TIMEOUT)


def can_be_verified(settings: ChannelConfig) -> bool:
    """Whether anything about a target can be known without a message."""
    match settings:
        case WebhookSettings() | AlertmanagerSettings():
            return True
        case PingSettings():
            return False
        case ServiceSettings():
            return mail_settings(settings.url.text) is not None
    assert_never(settings)


async def verify_channel(settings: ChannelConfig, limit: float) -> Verified:
    """Check a target without sending a message. ``limit``: seconds. Raises nothing but CancelledError."""
    match settings:
        case WebhookSettings():
            headers = {name: value.text for name, value in settings.headers.items()}
            request = Request(settings.url.text, b"", headers, "OPTIONS")
            sent = await exchange(request, settings.secrets, limit, meaning=_any_answer)
            return _verified(sent, Proof.REACHABLE, WEBHOOK_UNPROVEN)
        case AlertmanagerSettings():
            url = settings.url.text.rstrip("/") + STATUS_PATH
            sent = await exchange(Request(url, b"", settings.authorization, "GET"), settings.secrets, limit)
            return _verified(sent, Proof.PROVEN, "")
        case PingSettings():
            return Verified(Proof.UNCHECKED, PING_UNCHECKED, 0.0)
        case ServiceSettings():
            mail = mail_settings(settings.url.text)
            if mail is None:
                return Verified(Proof.UNCHECKED, SERVICE_UNCHECKED, 0.0)
            secrets = settings.url.derived
            sent = await Attempts(limit).run("verify", lambda: _log_in(mail, secrets))
            return _verified(sent, Proof.PROVEN, "")
    assert_never(settings)


def _log_in(mail: MailSettings, secrets: frozenset[str]) -> Sent:
    began = time.monotonic()
    try:
        verify(mail, RFC_WAITS)
    except (OSError, smtplib.SMTPException, ValueError) as error:
        return mail_failure(error, secrets, time.monotonic() - began)
    return Sent(SendStatus.DELIVERED, "", time.monotonic() - began)


def _any_answer(_status: int, _retry_after: str, seconds: float) -> Sent:
    return Sent(SendStatus.DELIVERED, "", seconds)


def _verified(sent: Sent, proof: Proof, reason: str) -> Verified:
    if sent.ok:
        return Verified(proof, reason, sent.seconds)
    failed = Proof.TIMEOUT if sent.status is SendStatus.TIMEOUT else Proof.FAILED
    return Verified(failed, sent.reason, sent.seconds)
