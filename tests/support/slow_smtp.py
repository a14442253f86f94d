"""An SMTP server on loopback that is slow at a chosen step, or hangs up there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass
class SlowServer:
    """``pauses``: seconds before the answer of a step; ``hang_up``: the step at which the connection ends instead.

    Steps are ``greeting``, ``ehlo``, ``mail``, ``rcpt``, ``data``, ``end`` (of the message), ``noop`` and ``quit``.
    """

    port: int = 0
    pauses: dict[str, float] = field(default_factory=dict)
    hang_up: str = ""
    names: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    messages: list[bytes] = field(default_factory=list)

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._answer(writer, "greeting", "220 slow.example.org ESMTP")
            while line := (await reader.readline()).decode().strip():
                await self._command(line, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _command(self, line: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        verb = line.split(maxsplit=1)[0].lower()
        self.commands.append(verb)
        if verb == "ehlo":
            self.names.append(line.split()[1])
        replies = {"data": "354 go on", "quit": "221 bye"}
        await self._answer(writer, verb, replies.get(verb, "250 OK"))
        if verb == "data":
            self.messages.append(await reader.readuntil(b"\r\n.\r\n"))
            await self._answer(writer, "end", "250 queued")

    async def _answer(self, writer: asyncio.StreamWriter, step: str, reply: str) -> None:
        await asyncio.sleep(self.pauses.get(step, 0.0))
        if step == self.hang_up:
            writer.transport.abort()
            raise ConnectionResetError(step)
        writer.write(f"{reply}\r\n".encode())
        await writer.drain()


@asynccontextmanager
async def slow_server() -> AsyncIterator[SlowServer]:
    """Run one while the context lasts."""
    slow = SlowServer()
    server = await asyncio.start_server(slow.talk, "127.0.0.1", 0)
    async with server:
        slow.port = server.sockets[0].getsockname()[1]
        yield slow
