"""Receives the webhook posts of Alertmanager and turns them into notices, so that mail is set up only in zsr.

A server of its own, with a token; each group that Alertmanager posts is one notice. It answers 200 when the notice is
on disk; otherwise Alertmanager tries again.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
import json
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from alerts.inbound.alertmanager_payload import ForeignError, notice_of_post
from alerts.notice import Notice
from alerts.secrets import Secret, SecretError, read_secret
from replicator.api.problem import Problem
from replicator.config.problems import kind_of
from replicator.errors import ConfigError, ZsrError

SECTION = "notify_receiver"
KEYS = ("listen", "token")
PATH = "/alertmanager"
LARGEST = 4 * 1024 * 1024
"""Bytes of a post; Alertmanager sends about a kilobyte for each alert."""
DUPLICATE_WINDOW_SECONDS = 300.0
"""Seconds in which the same post is a repetition of a lost answer; later it is Alertmanager's reminder."""
SHUTDOWN_TIMEOUT_SECONDS = 3.0

_LISTEN = re.compile(r"(?:\[(?P<six>[^\[\]]+)\]|(?P<four>[0-9.]+)):(?P<port>[0-9]{1,5})", re.ASCII)
_LISTEN_ALLOWED = 'an IP address and a port from 1 to 65535, like "127.0.0.1:9848" or "[::1]:9848"'
_log = logging.getLogger("zsr.alerts")

HandOver = Callable[[Notice], Awaitable[None]]
"""Accepts a notice, which is durable on return. May raise OSError or ZsrError when it cannot be stored."""


@dataclass(frozen=True, slots=True)
class ReceiverSettings:
    """Where to listen, and the token that a post has to carry."""

    host: str
    port: int
    token: Secret


def read_receiver(section: object, environ: Mapping[str, str]) -> tuple[ReceiverSettings | None, list[Problem]]:
    """The settings of a section (None: absent, so nothing listens), and its problems."""
    if section is None:
        return None, []
    if not isinstance(section, Mapping):
        return None, [Problem("", kind_of(section), f"a table with the keys {', '.join(KEYS)}")]
    problems = [
        Problem("(unknown key)", "(not shown)", f"only {', '.join(KEYS)}") for key in section if key not in KEYS
    ]
    listen = section.get("listen")
    found = _LISTEN.fullmatch(listen) if isinstance(listen, str) else None
    host = (found["six"] or found["four"]) if found else ""
    if found is None or not _is_address(host) or not 1 <= int(found["port"]) <= 65535:
        shown = repr(listen) if isinstance(listen, str) and "://" not in listen else "(not shown)"
        problems.append(Problem("listen", "(missing)" if listen is None else shown, _LISTEN_ALLOWED))
    try:
        token = read_secret(section.get("token"), environ)
    except SecretError as error:
        problems.append(Problem("token", error.value, error.allowed))
        return None, problems
    if problems or found is None:
        return None, problems
    return ReceiverSettings(host, int(found["port"]), token), []


class Receiver:
    """Answers the posts. ``clock`` returns unix time; ``node`` is this one."""

    def __init__(self, node: str, token: Secret, hand_over: HandOver, clock: Callable[[], float]) -> None:
        self._node = node
        self._token = token
        self._hand_over = hand_over
        self._clock = clock
        self._seen: dict[str, float] = {}

    def app(self) -> web.Application:
        """The application: `PATH` and nothing else."""
        app = web.Application(client_max_size=LARGEST)
        app.router.add_post(PATH, self.take)
        return app

    async def take(self, request: web.Request) -> web.Response:
        """Answer one post."""
        given = request.headers.get("Authorization", "").encode()
        if not hmac.compare_digest(given, f"Bearer {self._token.text}".encode()):
            return _no(401, "A token is required: Authorization: Bearer ...", {"WWW-Authenticate": "Bearer"})
        try:
            post = json.loads(await request.read())
            now = self._clock()
            notice = notice_of_post(post, self._node, self._moment(post, now))
        except (ValueError, RecursionError):
            return _no(400, "The body is not JSON.")
        except ForeignError as error:
            return _no(400, str(error))
        if notice is not None:
            try:
                await self._hand_over(notice)
            except (OSError, ZsrError) as error:
                _log.error("A post of Alertmanager cannot be stored; Alertmanager will try again: %s", error)
                return _no(503, "It cannot be stored now; try again.")
        return web.json_response({"status": "ok"})

    def _moment(self, post: Any, now: float) -> float:
        """When a post first came: one that is repeated soon has the same time, and so the same key."""
        mark = hashlib.sha256(json.dumps(post, sort_keys=True).encode()).hexdigest()
        self._seen = {each: time for each, time in self._seen.items() if 0 <= now - time < DUPLICATE_WINDOW_SECONDS}
        return self._seen.setdefault(mark, now)


@asynccontextmanager
async def receiving(settings: ReceiverSettings, receiver: Receiver) -> AsyncIterator[str]:
    """Listen while the context lasts; yields the URL to put into Alertmanager's settings. Raises ConfigError."""
    runner = web.AppRunner(receiver.app(), access_log=None, shutdown_timeout=SHUTDOWN_TIMEOUT_SECONDS)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, settings.host, settings.port).start()
        except OSError as error:
            raise ConfigError(
                f"{SECTION}.listen: cannot listen on port {settings.port} of {settings.host}: {error.strerror}.",
                advice="Choose an address of this node and a port that no other program uses (ss -ltnp).",
            ) from error
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        yield f"http://{host}:{settings.port}{PATH}"
    finally:
        await runner.cleanup()


async def receive(settings: ReceiverSettings, receiver: Receiver) -> None:
    """Listen until cancelled; raises ConfigError if the address cannot be used."""
    async with receiving(settings, receiver) as url:
        _log.info("Listening for posts of Alertmanager at %s.", url)
        await asyncio.Event().wait()


def _no(status: int, words: str, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.json_response({"status": "error", "error": words}, status=status, headers=headers)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
