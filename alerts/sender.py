"""Send one message through one service of apprise, with its traps disarmed.

apprise blocks, so its callers run it in a thread of its own with a hard limit (`alerts.channels.attempts`).
Facts about apprise 2.2 that shape this file are in ``docs/notifications.md``, last chapter.
"""

from __future__ import annotations

import time
from collections.abc import Container

import apprise
from apprise.apprise import N_MGR
from apprise.plugins.email.base import NotifyEmail

from alerts.channel import SendStatus, Sent
from alerts.diagnosis import diagnose
from alerts.redaction import RedactingFilter


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


def make_service(url: str) -> apprise.NotifyBase | None:
    """The apprise service of a URL, with the traps disarmed; None if apprise does not understand the URL.

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


def known_scheme(url: str) -> str:
    """A URL's scheme if apprise knows it, else an empty string: a mistyped URL may begin with the secret."""
    scheme = url.partition("://")[0].lower() if "://" in url else ""
    known: Container[str] = N_MGR
    return scheme if scheme in {"http", "https"} or scheme in known else ""
