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

from replicator.common.event_loop import ONE_BY_ONE
from replicator.common.files import advice_of, lock_file
from replicator.common.unix_socket import bound_socket, is_socket
from replicator.errors import AuthError, BusyError, ConfigError, NetworkError, ZsrError

Request = dict[str, object]
Say = Callable[[str], None]
Handler = Callable[[Request, Say], Awaitable[object]]
"""Answers a request with a JSON value; sends lines while it works; raises ZsrError if the request fails."""

_BACKLOG = 100
_LINE_LIMIT = 16 * 1024 * 1024
_log = logging.getLogger("zsr.daemon")


class NoDaemonError(NetworkError):
    """No daemon listens on the control socket."""

    default_advice = "Start it with: zsr daemon (or systemctl start zsr)."


class LostDaemonError(NoDaemonError):
    """The daemon ended before it answered: whether it carried out the request is not known."""

    default_advice = "See what it did: zsr status, zsr log ID."


@asynccontextmanager
async def serve_control(path: Path, handler: Handler) -> AsyncIterator[None]:
    """Serve the control socket while the body runs. A dead daemon's socket file is replaced.

    Raises:
        BusyError: another daemon serves it.
        ConfigError: it cannot be created.
    """
    try:
        is_socket(path)  # before anything is written next to a file that ``control`` names by mistake
        lock = _only_one(path)
    except OSError as error:
        raise _not_created(path, error) from error
    try:
        async with _listening(path, handler):
            yield
    finally:
        os.close(lock)


def _only_one(path: Path) -> int:
    """Take the lock next to the socket: of two daemons that start at once, only one can have it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    place = path.with_name(path.name + ".lock")
    try:
        lock = lock_file(place)
    except BlockingIOError:
        pid = place.read_text(errors="replace")[:32]
        raise BusyError(
            f"zsr is running already (pid {pid}, control socket '{path}').", advice="One daemon is enough."
        ) from None
    os.ftruncate(lock, 0)
    os.pwrite(lock, str(os.getpid()).encode(), 0)
    return lock


@asynccontextmanager
async def _listening(path: Path, handler: Handler) -> AsyncIterator[None]:
    try:
        if is_socket(path):
            await asyncio.to_thread(path.unlink, missing_ok=True)
        listener = bound_socket(path, 0o600)
        server = await asyncio.start_unix_server(
            lambda reader, writer: _serve(reader, writer, handler), sock=listener, limit=_LINE_LIMIT, backlog=ONE_BY_ONE
        )
        listener.listen(_BACKLOG)
    except OSError as error:
        raise _not_created(path, error) from error
    try:
        yield
    finally:
        server.close()
        await asyncio.to_thread(path.unlink, missing_ok=True)


def _not_created(path: Path, error: OSError) -> ConfigError:
    advice = "Name another path in zsr.toml (control), or move away what is there."
    if not isinstance(error, FileExistsError | NotADirectoryError):
        advice = advice_of(error)
    return ConfigError(f"Could not create the control socket '{path}': {error.strerror or error}.", advice=advice)


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, handler: Handler) -> None:
    def say(line: str) -> None:
        if not writer.is_closing():
            writer.write(_encode({"line": line}))

    try:
        try:
            text = await reader.readline()
        except ValueError:  # longer than _LINE_LIMIT
            text = b"too long"
        if not text:
            return
        writer.write(_encode(await _answer(text, handler, say)))
        await writer.drain()
    except ConnectionError:
        _log.info("A client closed its connection before it was answered.")
    except asyncio.CancelledError:
        return  # the daemon ends; asyncio of Python 3.11 would print it
    finally:
        writer.close()


async def _answer(text: bytes, handler: Handler, say: Say) -> dict[str, object]:
    try:
        request = json.loads(text)
    except (ValueError, RecursionError):
        request = None
    if not isinstance(request, dict):
        return {"end": True, "ok": False, "error": "A request is one JSON object on one line.", "exit": 2}
    try:
        return {"end": True, "ok": True, "result": await handler(request, say)}
    except ZsrError as error:
        return {"end": True, "ok": False, "error": str(error), "exit": 2 if isinstance(error, ConfigError) else 1}
    except Exception as error:  # noqa: BLE001 - a request's outermost frame
        _log.exception("The request %s failed (class internal).", request.get("verb"))
        return {"end": True, "ok": False, "error": f"Unexpected {type(error).__name__}: {error}.", "exit": 1}


async def call(path: Path, request: Request, say: Say = lambda line: None) -> object:
    """Send the daemon a request, pass each line of its answer to ``say``, and return the result.

    Raises:
        NoDaemonError: none is running. LostDaemonError: it ended before it answered.
        ConfigError, ZsrError: the error that the daemon answered.
    """
    try:
        reader, writer = await asyncio.open_unix_connection(path, limit=_LINE_LIMIT)
    except PermissionError as error:
        raise AuthError(f"You may not use the control socket '{path}'.", advice="Run this as zsr's user.") from error
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
        raise LostDaemonError("The zsr daemon ended before it answered.") from error
    finally:
        writer.close()
    raise LostDaemonError("The zsr daemon ended before it answered.")


def _remote_error(answer: dict[str, object]) -> ZsrError:
    kind = ConfigError if answer.get("exit") == 2 else RemoteError
    return kind(str(answer["error"]))


class RemoteError(ZsrError):
    """An error that the daemon answered, in its own words."""

    default_advice = ""


def _encode(message: dict[str, object]) -> bytes:
    return json.dumps(message).encode() + b"\n"
