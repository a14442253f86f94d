"""Processes that run the plugin on a real ``state.db`` and can be killed: ``notify_child STATE_DB WEBHOOK_PORT``.

For each line on its standard input it forks one, which is quicker than a new interpreter, and prints its number; the
child posts each notice with its key, and prints ``noted N M`` when the target's place N in the journal and its outbox
of M messages are on disk.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from alerts.channel import SendStatus, Sent
from alerts.notice import Notice
from alerts.plugin import AlertsPlugin
from replicator.events import Event
from replicator.history import histories
from replicator.jobs import JobId
from replicator.plugins import JobHistory, Memory, Status
from replicator.state import State
from tests import statuses


@dataclass
class PrintingMemory:
    """The real notes; says when the target's are written."""

    inner: Memory

    def get(self, key: str) -> str | None:
        return self.inner.get(key)

    def items(self, prefix: str) -> dict[str, str]:
        return self.inner.items(prefix)

    def put(self, key: str, value: str | None) -> None:
        self.put_all({key: value})

    def put_all(self, notes: Mapping[str, str | None]) -> None:
        self.inner.put_all(notes)
        value = notes.get("target/hook")
        if value is not None:
            data = json.loads(value)
            print("noted", data["cursor"], len(data["entries"]), flush=True)  # noqa: T201 - this is how the test listens


@dataclass
class DiskCore:
    """A core whose journal and notes are the real ones."""

    state: State

    def status(self) -> Status:
        return statuses.status(now=time.time())

    async def events(self, after: int) -> list[tuple[int, Event]]:
        while not (events := self.state.events(after)):  # noqa: ASYNC110 - another process writes
            await asyncio.sleep(0.01)
        return events

    def last_event(self) -> int:
        return self.state.last_event()

    def first_event(self) -> int:
        return self.state.first_event()

    async def history(self, begin: float, end: float) -> Mapping[JobId, JobHistory]:
        return histories(self.state, begin, end)

    def memory(self, plugin: str) -> Memory:
        return PrintingMemory(self.state.memory(plugin))


@dataclass
class KeyedHook:
    """A webhook that sends the key along, as a target must that drops what it has had already."""

    port: int

    async def send(self, notice: Notice) -> Sent:
        body = {"key": notice.key, "guests": [subject.guest for subject in notice.subjects]}
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"http://127.0.0.1:{self.port}/hook", json=body) as answer,
        ):
            return Sent(SendStatus.DELIVERED if answer.status == 200 else SendStatus.FAILED, "", 0.0)


async def main(database: Path, port: int) -> None:
    settings = [{"name": "hook", "url": f"json://127.0.0.1:{port}/hook"}]
    plugin = AlertsPlugin(gather=0.0, channels=lambda *_: KeyedHook(port))
    await plugin.run(DiskCore(State.open(database)), settings)


def serve(database: Path, port: int) -> None:
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            asyncio.run(main(database, port))
        print("child", child, flush=True)  # noqa: T201 - as above
        os.waitpid(child, 0)
        print("dead", child, flush=True)  # noqa: T201 - as above


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]))
