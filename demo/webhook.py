"""A receiver for the demo's notifications: messages of zsr and of Alertmanager are shown below the table."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass(frozen=True, slots=True)
class Notification:
    """A message as it arrived; ``time`` is unix seconds."""

    time: float
    title: str
    body: str


@dataclass(slots=True)
class Inbox:
    """The messages so far, oldest first."""

    port: int = 0
    messages: list[Notification] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        """Handle one POST of apprise's json:// target, or of Alertmanager's webhook."""
        try:
            facts = json.loads(await request.text())
            title, body = _of_alertmanager(facts) if "alerts" in facts else (facts["title"], facts["message"])
        except (ValueError, KeyError, TypeError):
            return web.Response(status=400, text="a JSON object with title and message, or alerts, is expected\n")
        self.messages.append(Notification(time.time(), str(title), str(body)))
        return web.Response()


def _of_alertmanager(facts: dict[str, Any]) -> tuple[str, str]:
    """Title and body of what Alertmanager posts (its webhook format, version 4)."""
    names = sorted({alert["labels"]["alertname"] for alert in facts["alerts"]})
    lines = [f"{alert['status']}: {alert['annotations'].get('description', '')}" for alert in facts["alerts"]]
    return f"Alertmanager, {facts['status']}: {', '.join(names)}", "\n".join(lines)


@asynccontextmanager
async def inbox() -> AsyncIterator[Inbox]:
    """Listen on a free port of 127.0.0.1 while the context lasts."""
    box = Inbox()
    application = web.Application()
    application.router.add_post("/{anything:.*}", box.take)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        box.port = int(runner.addresses[0][1])
        yield box
    finally:
        await runner.cleanup()
