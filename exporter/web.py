"""The exporter's HTTP server: /metrics, /-/healthy, /-/ready and the page. Reads only; changes nothing.

A request takes one frozen picture of the core in the event loop; everything that grows with the number of jobs is
then done in a thread, so that a scrape of thousands of jobs does not hold up replication. It is one thread of the
server's own: transfers may keep the shared ones busy for hours, and a crowd of scrapers queues up behind itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import ParamSpec, TypeVar

from aiohttp import web

from exporter.collectors import Picture, collect, take_picture
from exporter.exposition import Format, accepts_gzip, choose_format, render
from exporter.page import render_page
from exporter.settings import Listen
from replicator.errors import ConfigError
from replicator.plugins import Core

SHUTDOWN_TIMEOUT = 3.0
"""Seconds that a request in flight gets when the daemon stops."""

CORE = web.AppKey("CORE", Core)
RENDERER = web.AppKey("RENDERER", Executor)
PATHS = ("/", "/metrics", "/-/healthy", "/-/ready")
SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Server": "zsr",
}

Parameters = ParamSpec("Parameters")
Answer = TypeVar("Answer")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def make_app(core: Core, renderer: Executor) -> web.Application:
    """The application that shows this core and makes its answers in this executor."""
    app = web.Application(middlewares=[_plain_errors])
    app[CORE] = core
    app[RENDERER] = renderer
    app.on_response_prepare.append(_secure)
    app.add_routes(
        [
            web.get("/", _page),
            web.get("/metrics", _metrics),
            web.get("/-/healthy", _healthy),
            web.get("/-/ready", _ready),
        ]
    )
    return app


@asynccontextmanager
async def serving(core: Core, listen: Listen) -> AsyncIterator[list[Listen]]:
    """Serve while the context lasts; gives the addresses that are really listened on.

    Raises ConfigError when the address cannot be listened on, for instance because it is in use.
    """
    renderer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="exporter")
    runner = web.AppRunner(make_app(core, renderer), access_log=None, shutdown_timeout=SHUTDOWN_TIMEOUT)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, listen.host, listen.port).start()
        except OSError as error:
            raise ConfigError(
                f'exporter.listen = "{listen}": cannot listen there: {error.strerror or error}.',
                advice="Choose an address of this node and a port that no other program uses (ss -ltnp shows them).",
            ) from error
        yield [Listen(address[0], address[1]) for address in runner.addresses]
    finally:
        await runner.cleanup()
        renderer.shutdown(wait=False, cancel_futures=True)


async def _metrics(request: web.Request) -> web.Response:
    form = choose_format(",".join(request.headers.getall("Accept", [])))
    compress = accepts_gzip(",".join(request.headers.getall("Accept-Encoding", [])))
    picture = take_picture(request.app[CORE])
    body = await _in_thread(request, _render, picture, form, compress)
    headers = {"Content-Type": form.value, "Vary": "Accept, Accept-Encoding"}
    if compress:
        headers["Content-Encoding"] = "gzip"
    return web.Response(body=body, headers=headers)


async def _in_thread(
    request: web.Request, work: Callable[Parameters, Answer], *args: Parameters.args, **kwargs: Parameters.kwargs
) -> Answer:
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(request.app[RENDERER], partial(work, *args, **kwargs))


def _render(picture: Picture, form: Format, compress: bool) -> bytes:
    return render(collect(picture), form, compress=compress)


async def _page(request: web.Request) -> web.Response:
    status = request.app[CORE].status()
    text = await _in_thread(request, render_page, status)
    return web.Response(text=text, content_type="text/html")


async def _healthy(_: web.Request) -> web.Response:
    return web.Response(text="zsr is alive.\n")


async def _ready(request: web.Request) -> web.Response:
    status = request.app[CORE].status()
    if status.ready:
        return web.Response(text=f"zsr on {status.node} is ready. Jobs: {len(status.jobs)}.\n")
    why = "" if status.config.ok else f" The settings are wrong: {'; '.join(status.config.problems)}."
    return web.Response(status=503, text=f"zsr on {status.node} is not ready: the scheduler is not running yet.{why}\n")


@web.middleware
async def _plain_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refusals in one plain sentence that says what is allowed."""
    try:
        return await handler(request)
    except web.HTTPNotFound:
        return web.Response(status=404, text=f"There is nothing at this path. Paths: {', '.join(PATHS)}\n")
    except web.HTTPMethodNotAllowed as error:
        allowed = ", ".join(sorted(error.allowed_methods))
        return web.Response(status=405, headers={"Allow": allowed}, text=f"This path answers {allowed} only.\n")


async def _secure(_: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(SECURITY_HEADERS)
