"""Processes that run the plugin on a real ``state.db`` and can be killed: ``notify_child STATE_DB WEBHOOK_PORT``.

For each line on its standard input it forks one, which is quicker than a new interpreter. The child prints ``born
PID``, posts each notice with its key, and prints ``noted PID N M`` when the target's place N in the journal and its
outbox of M messages are on disk; when it is gone, ``dead PID STATUS`` is printed. Each line is one write, so lines of
parent and child never mix.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
import traceback
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from alerts.channels.base import SendStatus, Sent
from alerts.notice import Notice
from alerts.plugin import AlertsPlugin
from replicator.api.certificate import Certificate
from replicator.api.job_status import JobHistory
from replicator.api.plugin import PluginStore
from replicator.api.status import Status
from replicator.events import Event
from replicator.models import JobId
from replicator.state.stores import State
from tests.support import statuses


@dataclass
class PrintingMemory:
    """The real notes; says when the target's are written."""

    inner: PluginStore

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
            say("noted", os.getpid(), data["cursor"], len(data["entries"]))


@dataclass
class DiskCore:
    """A core whose journal and notes are the real ones."""

    state: State

    def status(self) -> Status:
        return statuses.status(now=time.time())

    async def events(self, after: int) -> list[tuple[int, Event]]:
        while not (events := self.state.journal.events(after)):  # noqa: ASYNC110 - another process writes
            await asyncio.sleep(0.01)
        return events

    def last_event(self) -> int:
        return self.state.journal.last_event()

    def first_event(self) -> int:
        return self.state.journal.first_event()

    async def history(self, begin: float, end: float) -> Mapping[JobId, JobHistory]:
        return self.state.runs.histories(begin, end)

    def show_certificates(self, certificates: Sequence[Certificate]) -> None:
        """Nobody looks."""

    def show_unreported(self, jobs: Collection[JobId] | None) -> None:
        """Nobody looks."""

    def memory(self, plugin: str) -> PluginStore:
        return PrintingMemory(self.state.plugin_store(plugin))


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


def say(*words: object) -> None:
    """Report to the test, in one write and past any buffer that a fork would copy."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


async def main(database: Path, port: int) -> None:
    sections = {"notify": [{"name": "hook", "url": f"json://127.0.0.1:{port}/hook"}]}
    plugin = AlertsPlugin(gather=0.0, channels=lambda *_: KeyedHook(port))
    await plugin.run(DiskCore(State.open(database)), sections)


def serve(database: Path, port: int) -> None:
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            say("born", os.getpid())
            try:
                asyncio.run(main(database, port))
            finally:
                traceback.print_exc()
                os._exit(1)  # never on into the parent's loop
        _, status = os.waitpid(child, 0)
        say("dead", child, os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]))
