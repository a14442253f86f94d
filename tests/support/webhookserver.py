"""A real HTTP server on loopback that takes webhooks, and the ways webhook servers misbehave."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass(frozen=True)
class Hook:
    """One request as it arrived; ``json`` is mostly an object."""

    method: str
    path: str
    headers: Mapping[str, str]
    json: Any


@dataclass
class WebhookServer:
    """What a running server took, and how it shall answer (may be changed while it runs).

    ``statuses`` are given in turn, the last one repeats; a 3xx redirects to ``/elsewhere``. With ``answer`` cleared the
    server takes requests and does not answer until it is set.
    """

    port: int = 0
    statuses: list[int] = field(default_factory=lambda: [200])
    seen: list[Hook] = field(default_factory=list)
    answer: asyncio.Event = field(default_factory=asyncio.Event)
    arrived: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def accepted(self) -> list[Hook]:
        """The requests that were answered with 200."""
        return [hook for hook, status in zip(self.seen, self.answers, strict=False) if status == 200]

    answers: list[int] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.json() if request.content_type != "text/plain" and request.can_read_body else {}
        async with self.arrived:
            self.seen.append(Hook(request.method, request.path_qs, dict(request.headers), body))
            self.arrived.notify_all()
        await self.answer.wait()
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        self.answers.append(status)
        headers = {"Location": "/elsewhere"} if 300 <= status < 400 else {}
        return web.Response(status=status, headers=headers)

    async def wait_for(self, count: int) -> None:
        """Wait until that many requests arrived."""
        async with self.arrived:
            await self.arrived.wait_for(lambda: len(self.seen) >= count)


@asynccontextmanager
async def webhook_server() -> AsyncIterator[WebhookServer]:
    """A server that takes any request on any path."""
    handler = WebhookServer()
    handler.answer.set()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler.handle)
    # No access log: it is the server's, and would show what the client must not.
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        handler.port = runner.addresses[0][1]
        yield handler
    finally:
        handler.answer.set()
        await runner.cleanup()
