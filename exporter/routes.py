"""The routes of the exporter: /metrics, /-/healthy, /-/ready, /http_sd and the status page. All are read-only.

A request takes one frozen status of the core in the event loop; everything that grows with the number of jobs is
then done in a thread, so that a scrape of thousands of jobs does not hold up replication. It is one thread of the
server's own: transfers may keep the shared ones busy for hours, and a crowd of scrapers queues up behind itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor
from functools import partial
from typing import Any, ParamSpec, TypeVar

from aiohttp import web

from exporter.auth import Guard
from exporter.collectors import collect, scrape_input
from exporter.exposition import Format, accepts_gzip, choose_format, render
from exporter.job_series import JobLines
from exporter.service_discovery import target_groups
from exporter.status_page import render_page
from replicator.api.plugin import Core
from replicator.api.status import Status

CORE = web.AppKey("CORE", Core)
RENDERER = web.AppKey("RENDERER", Executor)
JOB_LINES = web.AppKey("JOB_LINES", JobLines)
GUARD = web.AppKey("GUARD", Guard)
SD_TARGET = web.AppKey("SD_TARGET", str)
HEALTHY = "/-/healthy"
PATHS = ("/", "/metrics", HEALTHY, "/-/ready", "/http_sd")
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


def make_app(core: Core, renderer: Executor, guard: Guard, sd_target: str) -> web.Application:
    """The application that shows a core.

    Args:
        core: what is shown.
        renderer: where the answers are made.
        guard: who may ask; for `HEALTHY` everybody may, for it shows nothing.
        sd_target: the pattern of the targets (`exporter.service_discovery`).
    """
    app = web.Application(middlewares=[_plain_errors, _guarded])
    app[CORE] = core
    app[RENDERER] = renderer
    app[GUARD] = guard
    app[JOB_LINES] = JobLines()
    app[SD_TARGET] = sd_target
    app.on_response_prepare.append(_secure)
    app.add_routes(
        [
            web.get("/", _page),
            web.get("/metrics", _metrics),
            web.get(HEALTHY, _healthy),
            web.get("/-/ready", _ready),
            web.get("/http_sd", _http_sd),
        ]
    )
    return app


async def _metrics(request: web.Request) -> web.Response:
    form = choose_format(",".join(request.headers.getall("Accept", [])))
    compress = accepts_gzip(",".join(request.headers.getall("Accept-Encoding", [])))
    core, kept, config_ok = request.app[CORE], request.app[JOB_LINES], request.app[GUARD].config_ok
    body = await _in_thread(
        request, _render, core, core.status(), kept, form, compress=compress, web_config_ok=config_ok
    )
    headers = {"Content-Type": form.value, "Vary": "Accept, Accept-Encoding"}
    if compress:
        headers["Content-Encoding"] = "gzip"
    return web.Response(body=body, headers=headers)


async def _in_thread(
    request: web.Request, work: Callable[Parameters, Answer], *args: Parameters.args, **kwargs: Parameters.kwargs
) -> Answer:
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(request.app[RENDERER], partial(work, *args, **kwargs))


def _render(core: Core, status: Status, kept: JobLines, form: Format, *, compress: bool, web_config_ok: bool) -> bytes:
    return render(collect(scrape_input(core, status, web_config_ok=web_config_ok), kept), form, compress=compress)


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
    reasons = "".join(f"\n  {reason}" for reason in status.not_ready)
    return web.Response(status=503, text=f"zsr on {status.node} is not ready:{reasons}\n")


async def _http_sd(request: web.Request) -> web.Response:
    groups = target_groups(
        request.app[CORE].status().nodes,
        request.app[SD_TARGET],
        scheme="http" if request.app[GUARD].config.tls is None else "https",
        asked=_asked_host(request),
    )
    return web.json_response(groups)


def _asked_host(request: web.Request) -> str:
    """The host by which the asker knows this machine, as far as his Host header can be read."""
    try:
        return request.url.host or "localhost"
    except ValueError:
        return "localhost"


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


@web.middleware
async def _guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answers those who may ask; whatever the path, so that others do not learn which there are."""
    guard = request.app[GUARD]
    if request.path != HEALTHY:
        if not guard.knows(_certificate(request)):
            return web.Response(status=403, text="The names in your certificate are not among client_allowed_sans.\n")
        if not await guard.admits(request.headers.get("Authorization")):
            return web.Response(
                status=401,
                headers={"WWW-Authenticate": 'Basic realm="zsr", charset="UTF-8"'},
                text="Name and password are asked for (basic_auth_users of web_config).\n",
            )
    return await handler(request)


def _certificate(request: web.Request) -> Mapping[str, Any] | None:
    found: Mapping[str, Any] | None = request.get_extra_info("peercert")
    return found


async def _secure(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(SECURITY_HEADERS)
    response.headers.update(request.app[GUARD].config.headers)
