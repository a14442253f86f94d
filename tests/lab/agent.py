"""The test's open connections to `tests.lab.prefork` on a node: many steps over one, and no new process here."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

PORT = 4000
"""Where `tests.lab.prefork` listens; nothing else of a lab's network does."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a step ended; a status of 128 + n when signal n ended it."""

    status: int
    stdout: str
    stderr: str


@dataclass(slots=True, eq=False)
class Agent:
    """Runs steps on a node. Threads may use it at once: a connection has one step at a time."""

    connect: Callable[[], socket.socket]
    _idle: list[socket.socket] = field(default_factory=list)

    def serves(self) -> bool:
        """Whether it answers; not before `tests.lab.prefork` runs there, and not after a power cut."""
        try:
            return self.shell("true", timeout=20).status == 0
        except OSError:
            return False

    def shell(self, line: str, *, stdin: str = "", timeout: float) -> Ended:
        """Let bash run a line.

        Raises:
            TimeoutError: it has not ended after ``timeout`` seconds; it goes on.
            OSError: nobody serves.
        """
        return self._ask({"line": line, "stdin": stdin}, timeout)

    def zsr(self, *arguments: str, timeout: float) -> Ended:
        """Run ``zsr`` in the process that runs all of the test's; errors are those of `shell`."""
        return self._ask({"zsr": arguments}, timeout)

    def close(self) -> None:
        """Give up the open connections."""
        while self._idle:
            self._idle.pop().close()

    def _ask(self, request: Mapping[str, object], timeout: float) -> Ended:
        data = json.dumps(request).encode() + b"\n"
        while self._idle:
            connection = self._idle.pop()
            try:
                return self._answer(connection, data, timeout)
            except ConnectionError:  # the node was booted since
                continue
        return self._answer(self.connect(), data, timeout)

    def _answer(self, connection: socket.socket, data: bytes, timeout: float) -> Ended:
        connection.settimeout(timeout)
        try:
            connection.sendall(data)
            ended = _read(connection)
        except BaseException:
            connection.close()
            raise
        self._idle.append(connection)
        return ended


def _read(connection: socket.socket) -> Ended:
    with connection.makefile("rb") as answer:
        head = answer.readline()
        if not head:
            raise ConnectionResetError("the node hung up")
        status, out, err = map(int, head.split())
        return Ended(status, answer.read(out).decode(), answer.read(err).decode())
