"""A daemon for tests of the command line: it listens on the real control socket and says what a test wants."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

from replicator.daemon.control import Request, Say, serve_control


class FakeDaemon:
    """Answers on the control socket what a test puts into ``answers``, and keeps what it was asked."""

    def __init__(self, path: Path) -> None:
        self.asked: list[Request] = []
        self.answers: dict[str, object] = {"ping": 4711}
        self.lines: list[str] = []
        self.hang_up_on: str | None = None
        self.be_silent_on: str | None = None
        self._path = path
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._end = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))

    async def _serve(self) -> None:
        async with serve_control(self._path, self._answer):
            self._ready.set()
            await self._end.wait()

    async def _answer(self, request: Request, say: Say) -> object:
        self.asked.append(request)
        if request["verb"] == self.hang_up_on:
            raise asyncio.CancelledError
        if request["verb"] == self.be_silent_on:
            await self._end.wait()
        answer = self.answers.get(str(request["verb"]))
        for line in self.lines:
            say(line)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(10)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()
        self._loop.close()
