"""Freeze and thaw hooks around the snapshot. The thaw always runs, and is awaited (contract: One run, step 4)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from replicator.common.tasks import finish_despite_cancel
from replicator.errors import HookError, ZsrError
from replicator.hosts.host import Host
from replicator.models import FreezeFailure, Guest


@asynccontextmanager
async def frozen(guest: Guest, host: Host, log: Callable[[str, str], None]) -> AsyncIterator[None]:
    """Freeze the guest while the body runs.

    Raises:
        HookError: the freeze failed and the guest's settings make that an error; it was thawed again. Or the thaw
            failed, and the guest may still be frozen.
    """
    may_be_frozen = True
    try:
        if guest.freeze is not None:
            may_be_frozen = await _freeze(guest, guest.freeze, host, log)
        yield
    finally:
        if guest.thaw is not None:
            # A cancelled run must not leave a guest frozen.
            await finish_despite_cancel(_thaw(guest, guest.thaw, host, log, may_be_frozen=may_be_frozen))


async def _freeze(guest: Guest, command: str, host: Host, log: Callable[[str, str], None]) -> bool:
    """Return whether the guest may be frozen: not if the hook itself reports that it failed."""
    try:
        await _run_hook("freeze", guest, command, host)
    except HookError as error:
        if guest.on_freeze_failure is FreezeFailure.ERROR:
            raise
        log("warning", f"{error.what} The snapshot is taken anyway.")
        return error.__cause__ is not None  # it was cut off, by its time limit for example
    return True


async def _thaw(
    guest: Guest, command: str, host: Host, log: Callable[[str, str], None], *, may_be_frozen: bool
) -> None:
    try:
        await _run_hook("thaw", guest, command, host)
    except HookError as error:
        if not may_be_frozen:  # the agent of a guest that is off answers neither hook
            log("warning", f"{error.what} Its freeze hook failed too.")
            return
        what = f"{error.what} Guest {guest.id} may still be frozen."
        log("error", what)
        raise HookError(what, advice=f"Thaw it now: {command}", raw=error.raw) from error


async def _run_hook(kind: str, guest: Guest, command: str, host: Host) -> None:
    try:
        done = await host.run(["sh", "-c", command], limit=guest.hook_timeout)
    except ZsrError as error:
        raise HookError(f"The {kind} hook of guest {guest.id} failed: {error.what}", raw=error.raw) from error
    if not done.ok:
        lines = done.stderr.strip().splitlines()
        why = lines[-1] if lines else f"exit status {done.status}"
        raise HookError(f"The {kind} hook of guest {guest.id} failed: {why}.", raw=done.stderr)
