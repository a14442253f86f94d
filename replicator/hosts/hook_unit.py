"""Commands in a systemd unit of their own, without the restrictions of the daemon's (``zsr-hook.socket``).

The daemon's unit denies what zfs and SSH never need. A hook may need it: it enters a container, or is a program that
compiles at run time. So the daemon asks systemd for one more unit, by a connection to a socket on which systemd
listens. `replicator.hosts.hook_runner` is what runs there, and says what the two send each other.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from replicator.common.tasks import finish_despite_cancel, gather_two
from replicator.errors import BusyError, DeadlineError, HookError
from replicator.hosts.host import Completed, read_output

END_SECONDS = 5.0
"""Seconds to wait for the end of a command that was given up."""

_OF_THE_DAEMON = frozenset(
    {
        "CREDENTIALS_DIRECTORY",
        "INVOCATION_ID",
        "JOURNAL_STREAM",
        "MEMORY_PRESSURE_WATCH",
        "MEMORY_PRESSURE_WRITE",
        "RUNTIME_DIRECTORY",
        "STATE_DIRECTORY",
        "SYSTEMD_EXEC_PID",
    }
)
"""Variables in which systemd describes the daemon's unit."""


class NoUnitError(Exception):
    """Systemd did not start the unit, so the command was not started either; the text says why."""


class NotStartedError(Exception):
    """The unit could not start the command; its cause is the OSError."""

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.error = error


@dataclass(frozen=True, slots=True)
class HookUnit:
    """The unit of hooks, by the socket on which systemd listens for it."""

    address: str

    async def run(
        self,
        node: str,
        argv: Sequence[str],
        environment: Mapping[str, str],
        limit: float,
        hangs: Callable[[Callable[[], bool]], None],
    ) -> Completed:
        """Run a command to its end; cancelled or too late, it is killed with all that it started.

        Args:
            node: this node's name, for errors.
            argv: the command.
            environment: its variables; those that describe the daemon's unit are left out.
            limit: seconds that it may take.
            hangs: called if it could not be killed, with a function that says whether it has ended since.

        Raises:
            NoUnitError: there is no such unit. NotStartedError: there is no such command.
            DeadlineError, HookError: it did not end in time, or its unit was stopped.
        """
        kept = {name: value for name, value in environment.items() if name not in _OF_THE_DAEMON}
        request = json.dumps({"argv": list(argv), "environment": kept}).encode() + b"\n"
        async with _pipes(node) as (outputs, readings):
            work = _Work(node, argv, readings)
            try:
                async with asyncio.timeout(limit):
                    await work.begin(self.address, request, outputs)
                    done = await work.result()
            except TimeoutError:
                await finish_despite_cancel(work.give_up(hangs))
                raise DeadlineError(
                    f"'{' '.join(argv[:3])}' on {node} did not end within {limit:.0f} s.", node=node
                ) from None
            except BaseException:
                await finish_despite_cancel(work.give_up(hangs))
                raise
            await work.close()
            return done


@dataclass(frozen=True, slots=True)
class _Reading:
    """The reading end of a pipe."""

    descriptor: int
    reader: asyncio.StreamReader
    transport: asyncio.ReadTransport

    @classmethod
    async def of(cls, descriptor: int) -> _Reading:
        reader = asyncio.StreamReader()
        file = os.fdopen(descriptor, "rb", buffering=0)
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), file)
        return cls(descriptor, reader, transport)

    async def to_end(self) -> None:
        """Read it until nothing writes into it any more."""
        while await self.reader.read(65_536):
            pass


class _Work:
    """One command in its unit."""

    def __init__(self, node: str, argv: Sequence[str], readings: Sequence[_Reading]) -> None:
        self._node, self._argv, self._readings = node, argv, readings
        self._writer: asyncio.StreamWriter | None = None

    async def begin(self, address: str, request: bytes, outputs: Sequence[int]) -> None:
        """Connect, and hand over the request and the ends of the pipes into which the command writes."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            await asyncio.get_running_loop().sock_connect(connection, address)
            socket.send_fds(connection, [request[:1]], outputs)
            self._reader, self._writer = await asyncio.open_connection(sock=connection)
            self._writer.write(request[1:])
            await self._writer.drain()
            accepted = await self._answer()
        except OSError as error:
            raise NoUnitError(error.strerror or str(error)) from error
        finally:
            for each in outputs:
                os.close(each)
            if self._writer is None:
                connection.close()
        if accepted is None:
            raise NoUnitError("systemd closed the connection")

    async def result(self) -> Completed:
        """Wait for the command's end, and that of its output."""
        words = " ".join(self._argv[:3])
        out, err = (each.reader for each in self._readings)
        (stdout, stderr), status = await gather_two(read_output(words, self._node, out, err), self._status(words))
        return Completed(tuple(self._argv), status, stdout, stderr)

    async def _status(self, words: str) -> int:
        answer = await self._answer()
        if answer is None:
            what = f"'{words}' on {self._node} was ended with its unit."
            raise HookError(what, advice="Look into its journal: journalctl -u 'zsr-hook@*'")
        if "failed" in answer:
            raise NotStartedError(OSError(*answer["failed"]))
        return int(answer["status"])

    async def close(self) -> None:
        """Let the unit end by itself; what the command left in the background goes on."""
        assert self._writer is not None  # noqa: S101 - there is a result
        with suppress(OSError):
            self._writer.write(b"{}\n")
            await self._writer.drain()
        self._writer.close()

    async def give_up(self, hangs: Callable[[Callable[[], bool]], None]) -> None:
        """Close the connection, upon which all that the command started is killed, and wait for that a little."""
        if self._writer is None:
            return
        self._writer.close()
        try:
            async with asyncio.timeout(END_SECONDS):
                for each in self._readings:
                    await each.to_end()
        except TimeoutError:
            hangs(_has_ended(os.dup(self._readings[0].descriptor)))

    async def _answer(self) -> dict[str, Any] | None:
        """Return the unit's next answer; None if it has ended."""
        try:
            line = await self._reader.readline()
        except ConnectionError:
            return None
        found: dict[str, Any] | None = json.loads(line) if line.endswith(b"\n") else None
        return found


def _has_ended(pipe: int) -> Callable[[], bool]:
    """Return what says whether the last process that writes into a pipe is gone; it owns the descriptor."""
    left = [pipe]

    def ask() -> bool:
        with suppress(BlockingIOError):
            while left and not os.read(left[0], 65_536):
                os.close(left.pop())
        return not left

    return ask


@asynccontextmanager
async def _pipes(node: str) -> AsyncIterator[tuple[list[int], list[_Reading]]]:
    """Two pipes while the body runs, which closes their writing ends."""
    outputs: list[int] = []
    readings: list[_Reading] = []
    try:
        try:
            for _ in range(2):
                reading, writing = os.pipe()
                outputs.append(writing)
                readings.append(await _Reading.of(reading))
        except OSError as error:
            for each in outputs:
                os.close(each)
            what = f"Node {node} has no pipe for a command: {error.strerror}."
            raise BusyError(what, node=node, advice="Check its open files; zsr tries it again.") from error
        yield outputs, readings
    finally:
        for each_reading in readings:
            each_reading.transport.close()
