"""Carry notices to a webhook: JSON of our own or by a user's template, signed, with a key against doing it twice.

The signature is that of Standard Webhooks (standardwebhooks.com), for which receivers find libraries in many languages.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from alerts.channels.base import SEND_TIMEOUT_SECONDS, Sent
from alerts.channels.http import Request, exchange
from alerts.notice import Notice
from alerts.render.json_document import VERSION, document, header_id
from alerts.render.renderer import BrokenTemplateError, Form, MessageWriter, OwnTemplate
from alerts.secrets import Secret, all_derived

JSON = "application/json"
KEY_PREFIX = "whsec_"

_log = logging.getLogger("zsr.alerts")


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """Where to, and how.

    Attributes:
        url: user and password in it become basic authentication.
        key: what requests are signed with; None: they are not.
        headers: further ones, whose values are secrets.
        body: a template for the body; None: our own document.
        content_type: of the body; where it is JSON, what a template writes must be JSON.
    """

    url: Secret
    key: Secret | None = None
    headers: Mapping[str, Secret] = field(default_factory=dict)
    body: Path | None = None
    content_type: str = JSON
    method: str = "POST"

    @property
    def secrets(self) -> frozenset[str]:
        """All texts that must not be shown."""
        return all_derived([self.url, *([self.key] if self.key else []), *self.headers.values()])


class WebhookChannel:
    """One webhook. ``limit``: seconds of one attempt. Redirects are not followed; the caller retries."""

    def __init__(
        self, settings: WebhookSettings, writer: MessageWriter, *, limit: float = SEND_TIMEOUT_SECONDS
    ) -> None:
        self._settings = settings
        self._writer = writer
        self._limit = limit
        self._template = OwnTemplate(settings.body) if settings.body else None

    async def send(self, notice: Notice) -> Sent:
        """Try once. Raises nothing but CancelledError; a cancelled attempt may still be delivered."""
        return await exchange(self.request(notice), self._settings.secrets, self._limit)

    def request(self, notice: Notice) -> Request:
        """The HTTP request for a notice; with a secret it is signed with the current time."""
        settings = self._settings
        body = self._body(notice)
        number = header_id(notice.key) or hashlib.sha256(notice.key.encode()).hexdigest()
        headers = {
            "Content-Type": settings.content_type,
            "Idempotency-Key": number,
            "Zsr-Version": str(VERSION),
            "Zsr-Event": str(notice.kind),
        }
        if settings.key is not None:
            time = int(self._writer.clock())
            headers |= {
                "webhook-id": number,
                "webhook-timestamp": str(time),
                "webhook-signature": signature(settings.key, number, time, body),
            }
        headers |= {name: value.text for name, value in settings.headers.items()}
        return Request(settings.url.text, body, headers, settings.method)

    def _body(self, notice: Notice) -> bytes:
        words = self._writer.write(notice, Form.TEXT)
        facts = document(notice, self._writer.context(), words.title, words.body)
        if self._template is not None:
            try:
                text = self._template.write(notice, self._writer.context(), document=facts)
                if self._settings.content_type.partition(";")[0].strip().lower() == JSON:
                    json.loads(text)
                return text.encode()
            except (BrokenTemplateError, ValueError) as error:
                _log.error("Template %s: %s The built-in document is sent instead.", self._settings.body, error)
        return json.dumps(facts, ensure_ascii=False, separators=(",", ":")).encode()


def signature(key: Secret, number: str, time: int, body: bytes) -> str:
    """``v1,`` and the base 64 of the HMAC-SHA256 over id, time and body, joined by dots."""
    signed = f"{number}.{time}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key_bytes(key), signed, hashlib.sha256)).decode()


def key_bytes(key: Secret) -> bytes:
    """The bytes of a key: base 64 after ``whsec_``, otherwise the text itself."""
    if key.text.startswith(KEY_PREFIX):
        try:
            return base64.b64decode(key.text.removeprefix(KEY_PREFIX), validate=True)
        except binascii.Error:
            pass
    return key.text.encode()
