"""The exporter's HTTP server: its sockets, with TLS or without, and the reload of changed certificates.

The web-config.yml and the files that it names are looked at every second. When one changes, the server on each socket
is replaced by one that speaks the new TLS: the socket stays, and so do requests in flight. An error is logged once
and the last good configuration stays active (contract: Bad input).
"""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from exporter.addresses import Address
from exporter.auth import Guard
from exporter.certificates import certificates
from exporter.listeners import BACKLOG, Listener, listening
from exporter.routes import make_app
from exporter.service_discovery import default_sd_target
from exporter.settings import Settings
from exporter.tls import make_context
from exporter.web_config import WebConfig, read_web_config
from replicator.api.certificate import Certificate
from replicator.api.plugin import Core
from replicator.common.event_loop import ONE_BY_ONE
from replicator.common.files import stamp_of
from replicator.errors import ConfigError

SHUTDOWN_TIMEOUT_SECONDS = 3.0
"""Seconds that a request in flight gets when the daemon stops."""

LOOK_AGAIN_SECONDS = 1.0
"""Seconds between two looks at the files of the web configuration."""

_log = logging.getLogger("zsr.exporter")


@dataclass(frozen=True, slots=True)
class Loaded:
    """A web configuration, its TLS, and what its files were before they were read: no later change can be missed."""

    config: WebConfig
    context: ssl.SSLContext | None = None
    stamps: tuple[object, ...] = ()
    certificates: tuple[Certificate, ...] = ()


class Server:
    """The sites on all sockets. ``config`` of the guard is the active one; ``show`` gets its certificates."""

    def __init__(
        self, runner: web.AppRunner, ears: list[Listener], guard: Guard, show: Callable[[Sequence[Certificate]], None]
    ) -> None:
        self._show = show
        self._runner = runner
        self._ears = ears
        self._guard = guard
        self._sites: list[web.SockSite] = []
        self._loaded = Loaded(guard.config)

    @property
    def addresses(self) -> list[Address]:
        """Where it really listens."""
        return [ear.address for ear in self._ears]

    @property
    def urls(self) -> list[str]:
        """The URLs of the metrics, for the log."""
        secure = "https" if self._guard.config.tls else "http"
        return [f"{secure}://{ear.address}/metrics" if ear.is_tcp else str(ear.address) for ear in self._ears]

    async def take(self, loaded: Loaded) -> None:
        """Serve by this configuration from now on; unix sockets speak no TLS, for no network reaches them."""
        for site in self._sites:
            await site.stop()
        self._loaded = loaded
        self._guard.config = loaded.config
        self._sites = [
            web.SockSite(
                self._runner, ear.socket.dup(), ssl_context=loaded.context if ear.is_tcp else None, backlog=ONE_BY_ONE
            )
            for ear in self._ears
        ]
        for site in self._sites:
            await site.start()
        for ear in self._ears:
            ear.socket.listen(BACKLOG)
        self._show(loaded.certificates)

    async def follow(self) -> None:
        """Apply changes in the files of the web configuration; ends by cancellation only.

        A wrong configuration is tried again each time: a file that it names may appear later.
        """
        problem = ""
        while True:
            await asyncio.sleep(LOOK_AGAIN_SECONDS)
            config = self._loaded.config
            if not problem and await asyncio.to_thread(_stamps, config.files) == self._loaded.stamps:
                continue
            try:
                fresh = await asyncio.to_thread(load, config.path)
            except ConfigError as error:
                if str(error) != problem:
                    _log.error("%s The last good web configuration stays active.", error)
                problem = str(error)
                self._guard.config_ok = False
                continue
            problem = ""
            self._guard.config_ok = True
            await self.take(fresh)
            _log.info("'%s' or a file that it names was changed; the new version is active.", config.path)


@asynccontextmanager
async def serving(core: Core, settings: Settings) -> AsyncIterator[Server]:
    """Run the exporter's server while the context lasts. The caller awaits `Server.follow` meanwhile.

    Raises:
        ConfigError: an address of the settings cannot be listened on, or the web configuration is wrong.
    """
    loaded = await asyncio.to_thread(load, settings.web_config)
    async with AsyncExitStack() as stack:
        ears = await stack.enter_async_context(listening(settings.listen, os.environ))
        renderer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="exporter")
        stack.callback(renderer.shutdown, wait=False, cancel_futures=True)
        guard = Guard(loaded.config)
        stack.callback(guard.close)
        sd_target = settings.sd_target or default_sd_target(ear.address for ear in ears)
        app = make_app(core, renderer, guard, sd_target)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_TIMEOUT_SECONDS)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        stack.callback(core.show_certificates, ())
        server = Server(runner, ears, guard, core.show_certificates)
        await server.take(loaded)
        yield server


def load(path: Path | None) -> Loaded:
    """A web configuration and its TLS; without a path the one that asks for nothing. Raises ConfigError."""
    if path is None:
        return Loaded(WebConfig())
    stamp = stamp_of(path)
    config = read_web_config(path)
    others = _stamps(config.files[1:])
    return Loaded(config, make_context(config), (stamp, *others), certificates(config))


def _stamps(files: Iterable[Path]) -> tuple[object, ...]:
    return tuple(stamp_of(path) for path in files)
