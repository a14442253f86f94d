"""Sends notices through apprise: chats, push services, and everything else that it supports."""

from __future__ import annotations

import time
from collections.abc import Container

import apprise
from apprise.apprise import N_MGR
from apprise.plugins.email.base import NotifyEmail

from alerts.channels.attempts import Attempts
from alerts.channels.base import SEND_TIMEOUT_SECONDS, SendStatus, Sent
from alerts.channels.error_text import explain_failure
from alerts.notice import Notice, Severity
from alerts.redaction import RedactingFilter
from alerts.render.renderer import Form, MessageWriter, Rendered

ROWS = (15, 8, 4, 2, 1)
"""Jobs in a list: as many of these as fit into what a service takes."""


class AppriseChannel:
    """One service of apprise. ``format=markdown`` in its URL selects Markdown; the default is plain text."""

    def __init__(
        self,
        service: apprise.NotifyBase,
        writer: MessageWriter,
        guard: RedactingFilter,
        *,
        limit: float = SEND_TIMEOUT_SECONDS,
    ) -> None:
        self._service = service
        self._writer = writer
        self._guard = guard
        self._attempts = Attempts(limit)

    async def send(self, notice: Notice) -> Sent:
        """Try once. Raises nothing but CancelledError; a cancelled attempt may still be delivered."""
        return await self._attempts.run(notice.key, lambda: self._attempt(notice))

    def _attempt(self, notice: Notice) -> Sent:
        wanted = self._service.resolve_format(apprise.NotifyFormat.TEXT)
        is_markdown = wanted is apprise.NotifyFormat.MARKDOWN
        words = self._fitting(notice, Form.MARKDOWN if is_markdown else Form.TEXT)
        form = apprise.NotifyFormat.MARKDOWN if is_markdown else apprise.NotifyFormat.TEXT
        return deliver(self._service, self._guard, words.title, words.body, notify_type(notice), form)

    def _fitting(self, notice: Notice, form: Form) -> Rendered:
        """The message with the longest list that the service accepts; a longer text is cut."""
        longest = self._service.body_maxlen
        words = Rendered("", "")
        for rows in ROWS:
            words = self._writer.write(notice, form, rows)
            if len(words.title) + len(words.body) < longest:
                return words
        return Rendered(words.title, f"{words.body[: max(0, longest - len(words.title) - 2)]}…")


def notify_type(notice: Notice) -> apprise.NotifyType:
    """The type by which services choose colour and sound."""
    if notice.kind.is_all_clear or notice.closes:
        return apprise.NotifyType.SUCCESS
    if notice.severity is Severity.INFO:
        return apprise.NotifyType.INFO
    failure = notice.kind.facts.is_failure or notice.severity is Severity.CRITICAL
    return apprise.NotifyType.FAILURE if failure else apprise.NotifyType.WARNING


def deliver(
    service: apprise.NotifyBase,
    guard: RedactingFilter,
    title: str,
    body: str,
    kind: apprise.NotifyType,
    form: apprise.NotifyFormat = apprise.NotifyFormat.TEXT,
) -> Sent:
    """Send through a service and wait for the result, however long it takes; raises nothing."""
    began = time.monotonic()
    client = apprise.Apprise(asset=service.asset)
    client.add(service)
    with guard.listening() as log_lines:
        try:
            result = client.notify(title=title, body=body, notify_type=kind, body_format=form)
        except Exception as error:  # noqa: BLE001 - a thread's outermost frame; 170 services can raise anything
            reason = f"It failed inside apprise ({type(error).__name__}); this is a bug there or in zsr."
            return Sent(SendStatus.FAILED, reason, time.monotonic() - began)
    seconds = time.monotonic() - began
    # The status alone is not enough: apprise reports an optional service that failed as SUCCESS.
    attempts = [attempt for service in result for attempt in service.attempts]
    delivered = bool(attempts) and attempts[-1].status == apprise.AppriseResultStatus.SUCCESS
    if result and delivered:
        return Sent(SendStatus.DELIVERED, "", seconds)
    timed_out = result.status == apprise.AppriseResultStatus.TIMEOUT
    return Sent(SendStatus.TIMEOUT if timed_out else SendStatus.FAILED, explain_failure(log_lines), seconds)


def make_service(url: str) -> apprise.NotifyBase | None:
    """The apprise service of a URL, with risky defaults changed; None if apprise does not understand the URL.

    Redirects are not followed (a 302 turns the POST into a GET, loses the body and counts as success), a target is
    never optional (its failure would count as success), and mail is is_markdown as automatic (RFC 3834), so that no
    out-of-office reply comes back.
    """
    asset = apprise.AppriseAsset(
        app_id="zsr",
        app_desc="zsr, replication of ZFS guests",
        app_url="",
        http_redirects=False,
        pgp_autogen=False,
        pem_autogen=False,
        # No limit of apprise's own: with one it runs the send in its shared pool. The limit is set by its caller.
        service_timeout=0,
    )
    service = apprise.Apprise.instantiate(url, asset=asset)
    if not isinstance(service, apprise.NotifyBase):
        return None
    service.redirects = False
    service.optional = False
    if isinstance(service, NotifyEmail):
        if not service.targets:
            return None
        service.headers.setdefault("Auto-Submitted", "auto-generated")
    return service


def known_schemes() -> frozenset[str]:
    """The schemes of all services that apprise knows."""
    return frozenset(map(str, N_MGR.schemas()))  # type: ignore[no-untyped-call] # apprise has no types there


def known_scheme(url: str) -> str:
    """The scheme of a URL if apprise knows it, else empty: a mistyped URL may begin with the secret."""
    scheme = url.partition("://")[0].lower() if "://" in url else ""
    known: Container[str] = N_MGR
    return scheme if scheme in {"http", "https"} or scheme in known else ""
