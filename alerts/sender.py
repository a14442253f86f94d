"""Send one message through one target: the only room that knows apprise.

apprise blocks, so a send runs in a thread of its own with a hard limit. Not in asyncio's pool, whose threads the
daemon would wait for at its end, and not in apprise's, which a few hanging targets would fill for all the others.
Facts about apprise 2.2 that shape this file are in ``docs/notifications.md``, last chapter.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Container
from contextlib import suppress

import apprise
from apprise.apprise import N_MGR
from apprise.plugins.email.base import NotifyEmail

from alerts.channel import SendStatus, Sent
from alerts.diagnosis import diagnose
from alerts.messages import Kind, Message
from alerts.redaction import RedactingFilter
from alerts.targets import Target

SEND_LIMIT = 60.0
"""Seconds that one attempt may take before it counts as failed."""

_TYPES = {
    Kind.FAILED: apprise.NotifyType.FAILURE,
    Kind.RECOVERED: apprise.NotifyType.SUCCESS,
    Kind.TEST: apprise.NotifyType.INFO,
}


class Sender:
    """Sends through one target, one message at a time.

    An attempt that ran out of time is not forgotten: if it still hangs when the message is tried again, no second
    one is started beside it, and if it got through after all, the message is not sent twice.
    """

    def __init__(self, service: apprise.NotifyBase, guard: RedactingFilter, *, limit: float = SEND_LIMIT) -> None:
        self._service = service
        self._guard = guard
        self._limit = limit
        self._unfinished: tuple[Message, asyncio.Future[Sent]] | None = None

    async def send(self, message: Message) -> Sent:
        """Try once. Never raises but for being cancelled; a cancelled attempt may still get through."""
        if self._unfinished is not None:
            about, attempt = self._unfinished
            if not attempt.done():
                return Sent(SendStatus.TIMEOUT, "The attempt before still hangs.", 0.0)
            self._unfinished = None
            if attempt.result().ok and about.key == message.key:
                return attempt.result()
        attempt = in_thread(lambda: self._attempt(message))
        self._unfinished = (message, attempt)
        try:
            async with asyncio.timeout(self._limit):
                sent = await asyncio.shield(attempt)
        except TimeoutError:
            reason = f"The server did not answer within {self._limit:g} seconds; the message may still arrive."
            return Sent(SendStatus.TIMEOUT, reason, self._limit)
        self._unfinished = None
        return sent

    def _attempt(self, message: Message) -> Sent:
        return deliver(self._service, self._guard, message.title, message.body, _TYPES[message.kind])


def deliver(
    service: apprise.NotifyBase,
    guard: RedactingFilter,
    title: str,
    body: str,
    kind: apprise.NotifyType,
    form: apprise.NotifyFormat = apprise.NotifyFormat.TEXT,
) -> Sent:
    """Send through a service and wait for the end, however long it takes; raises nothing."""
    began = time.monotonic()
    client = apprise.Apprise(asset=service.asset)
    client.add(service)
    with guard.listening() as heard:
        try:
            result = client.notify(title=title, body=body, notify_type=kind, body_format=form)
        except Exception as error:  # noqa: BLE001 - a thread's outermost frame; 170 services can raise anything
            reason = f"It failed inside apprise ({type(error).__name__}); this is a bug there or in zsr."
            return Sent(SendStatus.FAILED, reason, time.monotonic() - began)
    seconds = time.monotonic() - began
    # The status alone is not enough: an optional service that failed is reported as SUCCESS (reference 6.1).
    attempts = [attempt for service in result for attempt in service.attempts]
    delivered = bool(attempts) and attempts[-1].status == apprise.AppriseResultStatus.SUCCESS
    if result and delivered:
        return Sent(SendStatus.DELIVERED, "", seconds)
    timed_out = result.status == apprise.AppriseResultStatus.TIMEOUT
    return Sent(SendStatus.TIMEOUT if timed_out else SendStatus.FAILED, diagnose(heard), seconds)


def make_service(target: Target) -> apprise.NotifyBase | None:
    """The apprise service of a target, with the traps disarmed; None if apprise does not understand the URL.

    Redirects are not followed (a 302 turns the POST into a GET, loses the body and counts as success), a target is
    never optional (its failure would count as success), and mail says that a machine wrote it (RFC 3834), so that no
    holiday reply comes back.
    """
    asset = apprise.AppriseAsset(
        app_id="zsr",
        app_desc="zsr, replication of ZFS guests",
        app_url="",
        http_redirects=False,
        pgp_autogen=False,
        pem_autogen=False,
        # No limit of apprise's own: with one it runs the send in its shared pool. The limit is set by Sender.
        service_timeout=0,
    )
    service = apprise.Apprise.instantiate(target.url, asset=asset)
    if not isinstance(service, apprise.NotifyBase):
        return None
    service.redirects = False
    service.optional = False
    if isinstance(service, NotifyEmail):
        if not service.targets:
            return None
        service.headers.setdefault("Auto-Submitted", "auto-generated")
    return service


def known_scheme(url: str) -> str:
    """A URL's scheme if apprise knows it, else an empty string: a mistyped URL may begin with the secret."""
    scheme = url.partition("://")[0].lower() if "://" in url else ""
    known: Container[str] = N_MGR
    return scheme if scheme in {"http", "https"} or scheme in known else ""


def in_thread(call: Callable[[], Sent]) -> asyncio.Future[Sent]:
    """Run a call in a daemon thread, which never keeps the process from ending."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Sent] = loop.create_future()

    def hand_over(sent: Sent) -> None:
        if not future.done():
            future.set_result(sent)

    def work() -> None:
        sent = call()
        with suppress(RuntimeError):  # the loop is closed: nobody waits for the result any more
            loop.call_soon_threadsafe(hand_over, sent)

    threading.Thread(target=work, name="zsr-notify", daemon=True).start()
    return future
