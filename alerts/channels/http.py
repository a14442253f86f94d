"""One HTTP request of a channel: within a time limit, without redirects; and the meaning of its answer.

Names are looked up in threads of their own: a resolver that hangs must not fill the thread pool in which the daemon
writes its state.
"""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from aiohttp import ClientError, ClientSession, ClientTimeout, ServerDisconnectedError, TCPConnector
from aiohttp.abc import AbstractResolver, ResolveResult

from alerts.channels.base import SendStatus, Sent
from alerts.channels.error_text import explain_failure
from alerts.redaction import redact

RETRYABLE_STATUSES = frozenset({408, 425, 429})
"""Client errors after which a retry may succeed."""
LONGEST_PAUSE_SECONDS = 6 * 3600.0
"""The longest pause that a server may ask for, in seconds, so that a message is tried several times within a day."""
AGENT = "zsr"
UNKNOWN_END = "The server hung up without an answer; the message may still have arrived."


Meaning = Callable[[int, str, float], Sent]
"""The meaning of an answer: of its status and Retry-After, after some seconds."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request. ``url`` may carry user and password, which become basic authentication."""

    url: str = field(repr=False)
    body: bytes = field(default=b"", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    method: str = "POST"


async def exchange(request: Request, secrets: frozenset[str], limit: float, *, meaning: Meaning | None = None) -> Sent:
    """Send a request once and return the result. Raises nothing but CancelledError.

    ``limit``: seconds. ``meaning``: that of an answer; None: `judge`.
    """
    began = time.monotonic()
    try:
        async with (
            asyncio.timeout(limit),
            ClientSession(
                connector=TCPConnector(resolver=Resolver(), force_close=True),
                timeout=ClientTimeout(total=None),
                headers={"User-Agent": AGENT},
                trust_env=True,
            ) as session,
            session.request(
                request.method, request.url, data=request.body, headers=dict(request.headers), allow_redirects=False
            ) as response,
        ):
            pause = response.headers.get("Retry-After", "")
            return (meaning or judge)(response.status, pause, time.monotonic() - began)
    except TimeoutError:
        reason = f"The server did not answer within {limit:g} seconds; the message may still have arrived."
        return Sent(SendStatus.TIMEOUT, reason, time.monotonic() - began)
    except ServerDisconnectedError:
        return Sent(SendStatus.TIMEOUT, UNKNOWN_END, time.monotonic() - began)
    except (ClientError, OSError, ValueError) as error:
        return Sent(SendStatus.FAILED, _why(error, secrets), time.monotonic() - began)


def judge(status: int, retry_after: str, seconds: float) -> Sent:
    """The meaning of an answer: 2xx accepted; 5xx, 408, 425 and 429 may accept it later; others refuse it for good."""
    if 200 <= status < 300:
        return Sent(SendStatus.DELIVERED, "", seconds)
    pause = (
        min(float(retry_after), LONGEST_PAUSE_SECONDS) if retry_after.isascii() and retry_after.isdecimal() else None
    )
    permanent = status < 500 and status not in RETRYABLE_STATUSES
    return Sent(SendStatus.FAILED, explain_failure([f"error={status}"]), seconds, permanent, pause)


class Resolver(AbstractResolver):
    """Looks up each name in a thread of its own, so that one that hangs delays no other."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """All addresses of a name; raises OSError."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[ResolveResult]] = loop.create_future()

        def set_answer(found: list[ResolveResult], error: OSError | None) -> None:
            if answer.done():
                return
            if error is None:
                answer.set_result(found)
            else:
                answer.set_exception(error)

        def work() -> None:
            found: list[ResolveResult] = []
            problem: OSError | None = None
            try:
                found = _look_up(host, port, family)
            except OSError as error:
                problem = error
            with suppress(RuntimeError):  # the loop is closed: the result is not needed
                loop.call_soon_threadsafe(set_answer, found, problem)

        threading.Thread(target=work, name="zsr-lookup", daemon=True).start()
        return await answer

    async def close(self) -> None:
        """Nothing to close."""


def _look_up(host: str, port: int, family: socket.AddressFamily) -> list[ResolveResult]:
    found = socket.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    return [
        ResolveResult(
            hostname=host,
            host=str(address[0]),
            port=int(address[1]),
            family=kind,
            proto=proto,
            flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
        )
        for kind, _, proto, _, address in found
    ]


def _why(error: Exception, secrets: frozenset[str]) -> str:
    number = error.errno if isinstance(error, OSError) else None
    text = f"{error} {os.strerror(number)}" if number is not None and number > 0 else str(error)
    return explain_failure([redact(text, secrets)], "the HTTP library")
