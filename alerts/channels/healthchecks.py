"""Pings healthchecks.io and compatible services: a job's run started, succeeded, failed. A dead man's switch.

The service raises an alarm when a ping is missing; so pings are not stored: one that cannot be sent within a few tries
is dropped, and runs from before the daemon's start are not pinged.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import quote, urlsplit, urlunsplit
from uuid import NAMESPACE_URL, uuid5

from alerts.channels.base import Sent
from alerts.channels.http import Request, exchange
from alerts.secrets import Secret
from replicator.api.plugin import Core
from replicator.events import Event, RunFailed, RunStarted, RunSucceeded
from replicator.models import JobId

RETRY_DELAYS_SECONDS = (2.0, 10.0)
"""Seconds before the second and the third try."""
PING_TIMEOUT_SECONDS = 10.0
MOST_AT_ONCE = 8
PLACE = "{job}"

_log = logging.getLogger("zsr.alerts")
Sleep = Callable[[float], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Ping:
    """The request for one event: a URL and a body."""

    url: Secret
    body: str


def ping_of(event: Event, url: str, node: str) -> Ping | None:
    """The ping of an event; None for an event without one. ``url`` has `PLACE` in place of the job's id. Pure."""
    match event:
        case RunStarted():
            suffix, body = "/start", ""
        case RunSucceeded():
            suffix, body = "", f"{event.sent_bytes} bytes in {event.duration:.1f} s"
        case RunFailed():
            suffix, body = "/fail", f"{event.error_class}: {event.message} {event.advice}".strip()
        case _:
            return None
    run = uuid5(NAMESPACE_URL, f"zsr/{node}/{event.job}/{event.run}")
    return Ping(_address(url, event.job, suffix, f"rid={run}"), body)


class Pinger:
    """Follows the journal for one ``ping`` target.

    ``count`` is called after each try with whether it was accepted; ``wants`` selects the jobs.
    """

    def __init__(
        self,
        name: str,
        url: Secret,
        count: Callable[[bool], None],
        *,
        wants: Callable[[JobId], bool] = lambda _: True,
        sleep: Sleep = asyncio.sleep,
        limit: float = PING_TIMEOUT_SECONDS,
    ) -> None:
        self._name = name
        self._url = url
        self._count = count
        self._wants = wants
        self._sleep = sleep
        self._limit = limit
        self._slots = asyncio.Semaphore(MOST_AT_ONCE)

    async def run(self, core: Core) -> None:
        """Ping until cancelled. The pings of one job keep their order; jobs do not wait for each other."""
        cursor, node = core.last_event(), core.status().node
        last: dict[JobId, asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as group:
            while True:
                for number, event in await core.events(cursor):
                    cursor = number
                    ping = ping_of(event, self._url.text, node)
                    if ping is not None and self._wants(event.job):
                        task = group.create_task(self._ping(ping, last.get(event.job)))
                        last[event.job] = task

    async def _ping(self, ping: Ping, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait([before])
        async with self._slots:
            for pause in (*RETRY_DELAYS_SECONDS, None):
                sent = await self._try(ping)
                self._count(sent.ok)
                if sent.ok or sent.permanent or pause is None:
                    break
                await self._sleep(pause)
        if not sent.ok:
            _log.warning("Ping target '%s' did not accept a ping: %s", self._name, sent.reason)

    async def _try(self, ping: Ping) -> Sent:
        return await _send(ping, self._url, self._limit)


async def try_ping(url: Secret, job: JobId, limit: float) -> Sent:
    """Ping without a change of the check: healthchecks.io only logs it."""
    return await _send(Ping(_address(url.text, job, "/log", ""), "A test of zsr."), url, limit)


async def _send(ping: Ping, url: Secret, limit: float) -> Sent:
    secrets = url.derived | ping.url.derived
    headers = {"Content-Type": "text/plain; charset=utf-8"}
    return await exchange(Request(ping.url.text, ping.body.encode(), headers), secrets, limit)


def _address(url: str, job: JobId, suffix: str, query: str) -> Secret:
    parts = urlsplit(url.replace(PLACE, quote(str(job), safe="")))
    whole = "&".join(filter(None, (parts.query, query)))
    return Secret(urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/") + suffix, whole, "")))


def ping_problem(url: str) -> str:
    """The problem of a ping URL, without the URL; empty if it is valid."""
    try:
        parts = urlsplit(url)
        is_valid = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        is_valid = False
    if not is_valid:
        return "an http or https URL"
    return "" if PLACE in url else f"a URL with {PLACE} in it, which becomes the job's id"
