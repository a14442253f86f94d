"""The exporter's HTTP server: what listens where, in TLS or not, and what happens when a certificate changes.

The web-config.yml and the files that it names are looked at every second. When one changes, the server on each socket
is replaced by one that speaks the new TLS: the socket stays, and so do requests in flight. What is wrong is said once
and the last good configuration stays in force (DESIGN 9).
"""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from aiohttp import web

from exporter.addresses import Address
from exporter.discovery import default_sd_target
from exporter.guard import Guard
from exporter.settings import Settings
from exporter.sockets import Ear, listening
from exporter.tls import make_context
from exporter.web import make_app
from exporter.webconfig import WebConfig, read_web_config
from replicator.errors import ConfigError
from replicator.files import stamp_of
from replicator.plugins import Core

SHUTDOWN_TIMEOUT = 3.0
"""Seconds that a request in flight gets when the daemon stops."""

LOOK_AGAIN = 1.0
"""Seconds between two looks at the files of the web configuration."""

_log = logging.getLogger(__name__)


class Server:
    """The sites on all sockets. ``config`` of the guard is what is in force."""

    def __init__(self, runner: web.AppRunner, ears: list[Ear], guard: Guard) -> None:
        self._runner = runner
        self._ears = ears
        self._guard = guard
        self._sites: list[web.SockSite] = []

    @property
    def addresses(self) -> list[Address]:
        """Where it really listens."""
        return [ear.address for ear in self._ears]

    @property
    def urls(self) -> list[str]:
        """What to ask for, for people."""
        secure = "https" if self._guard.config.tls else "http"
        return [f"{secure}://{ear.address}/metrics" if ear.is_tcp else str(ear.address) for ear in self._ears]

    async def take(self, config: WebConfig, context: ssl.SSLContext | None) -> None:
        """Serve by this configuration from now on; unix sockets speak no TLS, for they reach nobody's network."""
        for site in self._sites:
            await site.stop()
        self._guard.config = config
        self._sites = [
            web.SockSite(self._runner, ear.socket.dup(), ssl_context=context if ear.is_tcp else None)
            for ear in self._ears
        ]
        for site in self._sites:
            await site.start()

    async def follow(self) -> None:
        """Take over what changes in the files of the web configuration; ends by cancellation only."""
        seen = await asyncio.to_thread(_stamps, self._guard.config)
        while True:
            await asyncio.sleep(LOOK_AGAIN)
            config = self._guard.config
            now = await asyncio.to_thread(_stamps, config)
            if now == seen:
                continue
            seen = now
            try:
                fresh, context = await asyncio.to_thread(load, config.path)
            except ConfigError as error:
                _log.error("%s The last good web configuration stays in force.", error)
                continue
            await self.take(fresh, context)
            _log.info("'%s' or a file that it names was changed and is in force.", config.path)
            if fresh.files != config.files:  # read once more: no change between the two can be missed
                seen = []


@asynccontextmanager
async def serving(core: Core, settings: Settings) -> AsyncIterator[Server]:
    """Serve while the context lasts; `Server.follow` has to be awaited meanwhile.

    Raises:
        ConfigError: one of them cannot be listened on, or the web configuration is wrong.
    """
    config, context = await asyncio.to_thread(load, settings.web_config)
    async with AsyncExitStack() as stack:
        ears = await stack.enter_async_context(listening(settings.listen, os.environ))
        renderer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="exporter")
        stack.callback(renderer.shutdown, wait=False, cancel_futures=True)
        guard = Guard(config)
        stack.callback(guard.close)
        sd_target = settings.sd_target or default_sd_target(settings.listen)
        app = make_app(core, renderer, guard, sd_target)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_TIMEOUT)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        server = Server(runner, ears, guard)
        await server.take(config, context)
        yield server


def load(path: Path | None) -> tuple[WebConfig, ssl.SSLContext | None]:
    """A web configuration and its TLS; without a path the one that asks for nothing. Raises ConfigError."""
    config = WebConfig() if path is None else read_web_config(path)
    return config, make_context(config)


def _stamps(config: WebConfig) -> list[object]:
    return [stamp_of(path) for path in config.files]
