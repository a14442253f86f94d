"""Starts and stops a guest on a node, and asks whether it runs there, by the commands of its runtime."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from enum import StrEnum

from replicator.errors import HookError, ZsrError
from replicator.hosts.configured_commands import run_configured
from replicator.hosts.host import Host
from replicator.models import Guest, Runtime

STATUS_SECONDS = 30.0
RESTART_SECONDS = 30.0
"""Seconds for which a shutdown that was given up is waited for."""
_POLL_SECONDS = 0.2
_RUNNING, _STOPPED = 0, 3
"""Exit statuses of ``status``, as of init scripts (LSB)."""


class Presence(StrEnum):
    """Whether a guest runs on a node; ``UNKNOWN`` also where it has no runtime that could say so."""

    RUNNING = "running"
    STOPPED = "stopped"
    UNKNOWN = "unknown"


def runtime_of(guest: Guest) -> Runtime | None:
    """Return what starts and stops a guest; None if nothing does.

    Raises:
        HookError: there is something that must not be run, since another user may write the file it is from.
    """
    if guest.runtime is not None and guest.hooks_refused:
        raise HookError(
            f"The start, stop and status commands of guest {guest.id} are not run: {guest.hooks_refused}.",
            advice="Let only root write that file and its folder: chmod go-w.",
        )
    return guest.runtime


async def presence(guest: Guest, host: Host) -> Presence:
    """Return whether a guest runs on a host. Raises ZsrError if the host cannot be asked."""
    runtime = runtime_of(guest)
    if runtime is None:
        return Presence.UNKNOWN
    done = await run_configured(host, ["sh", "-c", runtime.status], limit=STATUS_SECONDS)
    return {_RUNNING: Presence.RUNNING, _STOPPED: Presence.STOPPED}.get(done.status, Presence.UNKNOWN)


async def start(guest: Guest, host: Host) -> None:
    """Start a guest, unless it runs.

    Raises:
        HookError: its command failed, or has not ended after ``stop_timeout``.
    """
    runtime = runtime_of(guest)
    if runtime is None or await presence(guest, host) is Presence.RUNNING:
        return
    await _do("start", runtime.start, guest, host)


async def prepare(guest: Guest, host: Host, files: Sequence[str]) -> None:
    """Let what runs a guest read its files, which are in place. May be done again.

    Raises:
        HookError: its command failed.
    """
    runtime = runtime_of(guest)
    if runtime is not None and runtime.prepare:
        await _do("prepare", runtime.prepare, guest, host, files)


async def start_again(guest: Guest, host: Host) -> bool:
    """Start a guest whose stop was asked for and failed, or was followed by a failure; return whether it runs for sure.

    A shutdown that goes on still ends later, whatever its command said: it is waited for, then the guest is started.
    """
    if await _while_running(guest, host, RESTART_SECONDS) is Presence.RUNNING:
        return False
    await start(guest, host)
    return True


async def stop(guest: Guest, host: Host) -> None:
    """Stop a guest that runs, and return when it does not any more; ``stop_timeout`` is for both.

    Raises:
        HookError: its command failed, or it runs still, or nothing says that it does not.
    """
    runtime = runtime_of(guest)
    if runtime is None or await presence(guest, host) is Presence.STOPPED:
        return
    end = time.monotonic() + guest.stop_timeout
    await _do("stop", runtime.stop, guest, host)
    found = await _while_running(guest, host, end - time.monotonic())
    if found is not Presence.STOPPED:
        what = "still runs" if found is Presence.RUNNING else "does not say whether it runs"
        raise HookError(f"Guest {guest.id} {what} on {host.name} after its stop command.")


async def _while_running(guest: Guest, host: Host, seconds: float) -> Presence:
    """Wait for so many seconds at most while a guest runs; return whether it does."""
    end = time.monotonic() + seconds
    while (found := await presence(guest, host)) is Presence.RUNNING and time.monotonic() < end:  # noqa: ASYNC110
        await asyncio.sleep(_POLL_SECONDS)
    return found


async def _do(what: str, command: str, guest: Guest, host: Host, arguments: Sequence[str] = ()) -> None:
    try:
        done = await run_configured(host, ["sh", "-c", command, "sh", *arguments], limit=guest.stop_timeout)
    except ZsrError as error:
        raise HookError(
            f"The {what} command of guest {guest.id} failed on {host.name}: {error.what}", raw=error.raw
        ) from error
    if not done.ok:
        lines = done.stderr.strip().splitlines()
        why = lines[-1] if lines else f"exit status {done.status}"
        raise HookError(f"The {what} command of guest {guest.id} failed on {host.name}: {why}.", raw=done.stderr)
