"""The daemon's control socket: a unix socket that only its owner may open, one JSON object a line.

A client sends one request, ``{"verb": ..., ...}``; the daemon answers with any number of ``{"line": ...}`` and one last
object with ``"end": true`` and ``"ok"``, and either ``"result"`` or ``"error"`` and ``"exit"``.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from replicator.errors import BusyError, ConfigError, NetworkError, ZsrError

Request = dict[str, object]
Say = Callable[[str], None]
Handler = Callable[[Request, Say], Awaitable[object]]
"""Answers a request with a JSON value; says lines while it works; raises ZsrError for what goes wrong."""

_LINE_LIMIT = 16 * 1024 * 1024
_log = logging.getLogger("zsr.control")


class NoDaemonError(NetworkError):
    """No daemon listens on the control socket."""

    default_advice = "Start it with: zsr daemon (or systemctl start zsr)."


@asynccontextmanager
async def serving(path: Path, handler: Handler) -> AsyncIterator[None]:
    """Serve the control socket while the body runs. A dead daemon's socket file is replaced.

    Raises:
        BusyError: another daemon serves it.
        ConfigError: it cannot be made.
    """
    await _refuse_second(path)
    try:
        _make_room(path)
        before = os.umask(0o177)
        try:
            server = await asyncio.start_unix_server(
                lambda reader, writer: _serve(reader, writer, handler), path, limit=_LINE_LIMIT
            )
        finally:
            os.umask(before)
    except OSError as error:
        raise ConfigError(f"Could not make the control socket '{path}': {error.strerror or error}.") from error
    try:
        yield
    finally:
        server.close()
        await asyncio.to_thread(path.unlink, missing_ok=True)


def _make_room(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)


async def _refuse_second(path: Path) -> None:
    try:
        answer = await call(path, {"verb": "ping"})
    except NoDaemonError:
        return
    raise BusyError(f"zsr is running already (pid {answer}, control socket '{path}').", advice="")


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, handler: Handler) -> None:
    def say(line: str) -> None:
        if not writer.is_closing():
            writer.write(_encode({"line": line}))

    try:
        text = await reader.readline()
        if not text:
            return
        writer.write(_encode(await _answer(text, handler, say)))
        await writer.drain()
    except ConnectionError:
        _log.info("a client went away")
    finally:
        writer.close()


async def _answer(text: bytes, handler: Handler, say: Say) -> dict[str, object]:
    try:
        request = json.loads(text)
    except ValueError:
        request = None
    if not isinstance(request, dict):
        return {"end": True, "ok": False, "error": "A request is one JSON object on one line.", "exit": 2}
    try:
        return {"end": True, "ok": True, "result": await handler(request, say)}
    except ZsrError as error:
        return {"end": True, "ok": False, "error": str(error), "exit": 2 if isinstance(error, ConfigError) else 1}


async def call(path: Path, request: Request, say: Say = lambda line: None) -> object:
    """Ask the daemon, hand its lines on, and return its result.

    Raises:
        NoDaemonError: none is running. ConfigError, ZsrError: what the daemon answered.
    """
    try:
        reader, writer = await asyncio.open_unix_connection(path, limit=_LINE_LIMIT)
    except OSError as error:
        raise NoDaemonError(f"No zsr daemon listens on '{path}'.") from error
    try:
        writer.write(_encode(request))
        await writer.drain()
        while text := await reader.readline():
            answer = json.loads(text)
            if "line" in answer:
                say(answer["line"])
            elif answer["ok"]:
                return answer["result"]
            else:
                raise _remote_error(answer)
    except ConnectionError as error:
        raise NoDaemonError("The zsr daemon went away before it answered.") from error
    finally:
        writer.close()
    raise NoDaemonError("The zsr daemon went away before it answered.")


def _remote_error(answer: dict[str, object]) -> ZsrError:
    kind = ConfigError if answer.get("exit") == 2 else RemoteError
    return kind(str(answer["error"]))


class RemoteError(ZsrError):
    """What the daemon answered, in its own words."""

    default_advice = ""


def _encode(message: dict[str, object]) -> bytes:
    return json.dumps(message).encode() + b"\n"
