"""A process that runs the plugin on a real ``state.db`` and can be killed: ``notify_child STATE_DB WEBHOOK_PORT``.

It prints ``noted N M`` when the target's place N in the journal and its outbox of M messages are on disk, and
``waiting`` when an attempt has failed.
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import dataclass
from pathlib import Path

from alerts.plugin import AlertsPlugin
from replicator.events import Event
from replicator.plugins import Memory, Status
from replicator.state import State
from tests import statuses


@dataclass
class PrintingMemory:
    """The real notes; says when the target's are written."""

    inner: Memory

    def get(self, key: str) -> str | None:
        return self.inner.get(key)

    def put(self, key: str, value: str | None) -> None:
        self.inner.put(key, value)
        if key == "target/hook" and value is not None:
            print("noted", json.loads(value)["cursor"], len(json.loads(value)["outbox"]), flush=True)  # noqa: T201 - this is how the test listens


@dataclass
class DiskCore:
    """A core whose journal and notes are the real ones."""

    state: State

    def status(self) -> Status:
        return statuses.status(statuses.failing())

    async def events(self, after: int) -> list[tuple[int, Event]]:
        while not (events := self.state.events(after)):  # noqa: ASYNC110 - another process writes
            await asyncio.sleep(0.02)
        return events

    def last_event(self) -> int:
        return self.state.last_event()

    def memory(self, plugin: str) -> Memory:
        return PrintingMemory(self.state.memory(plugin))


async def wait_forever(_seconds: float) -> None:
    print("waiting", flush=True)  # noqa: T201 - as above
    await asyncio.Event().wait()


async def main(database: Path, port: str) -> None:
    core = DiskCore(State.open(database))
    settings = [{"name": "hook", "url": f"json://127.0.0.1:{port}/hook"}]
    await AlertsPlugin(sleep=wait_forever, gather=0.0).run(core, settings)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
