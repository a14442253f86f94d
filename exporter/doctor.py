"""The check ``exporter`` of ``zsr doctor``: asks the exporter on each of its addresses, as Prometheus would.

It knows no password and has no client certificate, since only their hashes and authorities are here: where the exporter
asks for them, that is the answer.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from collections.abc import Iterator

from aiohttp import (
    BaseConnector,
    ClientConnectorError,
    ClientError,
    ClientSession,
    ClientSSLError,
    ClientTimeout,
    TCPConnector,
    UnixConnector,
)

from exporter.addresses import Activated, Address, Listen, UnixListen, bracketed
from exporter.routes import HEALTHY, SECURITY_HEADERS
from exporter.server import Loaded, load
from exporter.settings import Settings
from replicator.api.doctor import Line, Subject, Visit
from replicator.common.durations import words
from replicator.errors import ConfigError

CHECK = "exporter"


async def examine(settings: Settings, visit: Visit) -> list[Line]:
    """Return the lines about the exporter."""
    subject = Subject(CHECK, visit.node)
    if not settings.enabled:
        return [subject.off("The exporter is switched off (exporter.enabled = false).")]
    try:
        loaded = await asyncio.to_thread(load, settings.web_config)
    except ConfigError as error:
        return [subject.failed(error)]
    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(_ask(subject, each, loaded, visit.limit)) for each in settings.listen]
    return [*(task.result() for task in asked), *certificate_lines(subject, loaded, time.time())]


def certificate_lines(subject: Subject, loaded: Loaded, now: float) -> Iterator[Line]:
    """Yield a line for each certificate that ends soon, or has ended; ``now``: unix time."""
    for each in loaded.certificates:
        if each.is_ending(now):
            left = each.end - now
            text = f"Its certificate {each.file} {f'ends in {words(left)}' if left > 0 else 'has ended'}."
            make = subject.fail if each.is_almost_over(now) else subject.warn
            yield make(text, "Renew it; the exporter takes over a new file by itself.")


async def _ask(subject: Subject, address: Address, loaded: Loaded, limit: float) -> Line:
    match address:
        case Activated():
            return subject.off("It listens where zsr-exporter.socket says: systemctl status zsr-exporter.socket")
        case UnixListen(path):
            return await _asked(subject, str(address), "http://exporter", UnixConnector(path), limit)
        case Listen(host, port):
            secure = loaded.context is not None
            # Not who it is, but whether it answers: its certificate is for other names than that of a loopback.
            context = ssl._create_unverified_context() if secure else False  # noqa: S323
            at = f"{'https' if secure else 'http'}://{bracketed(host or '127.0.0.1')}:{port}"
            tls = loaded.config.tls
            wants = tls is not None and tls.client_auth_type == "RequireAndVerifyClientCert"
            return await _asked(subject, at, at, TCPConnector(ssl=context), limit, wants_certificate=wants)


async def _asked(
    subject: Subject, shown: str, url: str, connector: BaseConnector, limit: float, *, wants_certificate: bool = False
) -> Line:
    try:
        async with ClientSession(connector=connector, timeout=ClientTimeout(total=limit)) as session:
            async with session.get(f"{url}{HEALTHY}", allow_redirects=False) as healthy:
                is_zsr = healthy.headers.get("Server") == SECURITY_HEADERS["Server"]
            async with session.get(f"{url}/metrics", allow_redirects=False) as metrics:
                return answered(subject, shown, metrics.status, is_zsr=is_zsr)
    except TimeoutError:
        return unanswered(subject, shown, f"no answer within {words(limit)}")
    except (ClientError, OSError) as error:
        if wants_certificate and (isinstance(error, ClientSSLError) or not isinstance(error, ClientConnectorError)):
            return subject.ok(f"{shown} answers, and asks for a client's certificate.")
        number = getattr(error, "errno", None)
        return unanswered(subject, shown, os.strerror(number) if number and number > 0 else type(error).__name__)


def unanswered(subject: Subject, shown: str, reason: str) -> Line:
    """Return the line of an address that does not answer."""
    text = f"{shown} does not answer: {reason[:1].lower()}{reason[1:]}."
    return subject.fail(text, "It is up only while the daemon runs; see: journalctl -u zsr")


def answered(subject: Subject, shown: str, status: int, *, is_zsr: bool) -> Line:
    """Return the line of an address that answers; ``status``: that of the metrics."""
    if not is_zsr:
        advice = "Choose another address in exporter.listen; see who has it: ss -ltnp"
        return subject.fail(f"{shown} is answered by another program than zsr.", advice)
    if status == 401:
        return subject.ok(f"{shown} answers, and asks for a password.")
    if status != 200:
        return subject.fail(f"{shown}/metrics answers with HTTP status {status}.", "See: journalctl -u zsr")
    return subject.ok(f"{shown}/metrics answers.")
