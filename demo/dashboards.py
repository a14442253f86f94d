"""The dashboards in a browser without a Grafana server, drawn by Grafana's own front-end libraries."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlencode

from aiohttp import web

from demo.servers import LOOPBACK, ServerError, free_port

_GRAFANA = Path(__file__).parents[1] / "grafana"
_PATIENCE = 600.0
"""Seconds for getting 450 MB of packages, the first time."""


async def prepare(folder: Path) -> list[str]:
    """Make a page for each dashboard below a folder; their names.

    Raises:
        ServerError: node or npm are missing, or the libraries cannot be had.
    """
    page = folder / "page"
    await _run(_GRAFANA / "render" / "prepare.sh", page)
    boards = sorted((_GRAFANA / "dashboards").glob("*.json"))
    (folder / "public").symlink_to(page / "public")
    for board in boards:
        own = folder / board.stem
        own.mkdir()
        shutil.copy(board, own / "dashboard.json")
        shutil.copy(page / "index.html", own)
        (own / "dist").symlink_to(page / "dist")
    return [board.stem for board in boards]


async def _run(script: Path, *arguments: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        script,
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(_PATIENCE):
            _, said = await process.communicate()
    except TimeoutError:
        raise ServerError(f"{script.name} was not ready after {_PATIENCE:.0f} s") from None
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGTERM)  # with npm and what it started; it leads its own group
            await process.wait()
    if process.returncode != 0:
        raise ServerError(said.decode().strip() or f"{script.name} ended with status {process.returncode}")


@asynccontextmanager
async def serving(folder: Path, names: list[str], prometheus: str, *, scrape: int) -> AsyncIterator[dict[str, str]]:
    """Serve prepared pages on loopback while the context lasts; gives each dashboard's URL.

    Args:
        folder: where `prepare` made the pages.
        names: what it gave.
        prometheus: the URL of the Prometheus that they ask.
        scrape: its scrape interval in seconds.
    """
    application = web.Application()
    application.router.add_static("/", folder, follow_symlinks=True)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        port = free_port()
        await web.TCPSite(runner, LOOPBACK, port).start()
        asked = urlencode({"prom": prometheus, "from": "now-15m", "scrape": scrape})
        yield {name: f"http://{LOOPBACK}:{port}/{name}/index.html?{asked}" for name in names}
    finally:
        await runner.cleanup()
