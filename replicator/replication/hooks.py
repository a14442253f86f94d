"""Freeze and thaw hooks around the snapshot. The thaw always runs, and is awaited (contract: One run, step 4).

A guest is recorded as frozen before its freeze hook starts, and until a thaw succeeded: who finds the record after a
kill or a power cut thaws the guest (`replicator.daemon.frozen_guests`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from replicator.common.tasks import finish_despite_cancel
from replicator.errors import HookError, ZsrError
from replicator.hosts.configured_commands import run_configured
from replicator.hosts.host import Host
from replicator.job_choices import FreezeFailure
from replicator.models import Guest, GuestId, Hook
from replicator.replication.progress import Log


class HookRecorder(Protocol):
    """Records what hooks do; durable when a call returns. Each call may raise ZsrError."""

    async def freezing(self, guest: Guest, thaw: str) -> bool:
        """Record that the guest may be frozen from now on; return whether it may have been before."""

    async def thawed(self, guest: Guest) -> None:
        """Record that the guest is not frozen any more."""

    async def froze(self, guest: Guest) -> None:
        """Record that the freeze hook succeeded."""

    async def failed(self, guest: Guest, hook: Hook) -> None:
        """Count a hook that failed, which does not leave the guest frozen."""

    async def thaw_failed(self, guest: Guest, message: str) -> None:
        """Count a thaw that failed, and record that the guest stays frozen."""


@asynccontextmanager
async def frozen(guest: Guest, host: Host, log: Log, recorder: HookRecorder) -> AsyncIterator[None]:
    """Freeze the guest while the body runs.

    Raises:
        HookError: the freeze failed and the guest's settings make that an error; it was thawed again. Or the thaw
            failed, and the guest may still be frozen.
        ZsrError: it could not be recorded that the guest is frozen; the freeze hook was not started then. Or that it is
            not any more; it is thawed once more then.
    """
    hooks = _Hooks(guest, host, log, recorder)
    if guest.hooks and guest.hooks_refused:
        await hooks.refuse()
        yield
        return
    await hooks.record()
    try:
        await hooks.freeze()
        yield
    finally:
        # A cancelled run must not leave a guest frozen.
        await finish_despite_cancel(hooks.end())


@dataclass(slots=True)
class _Hooks:
    """The hooks of one snapshot.

    Attributes:
        was_frozen: whether an earlier thaw failed or never came.
        may_be_frozen: False after a freeze hook that itself reported that it failed, of a guest that was not frozen.
        freeze_failed: the freeze hook itself reported that it failed.
        froze: the freeze hook succeeded.
    """

    guest: Guest
    host: Host
    log: Log
    recorder: HookRecorder
    was_frozen: bool = False
    may_be_frozen: bool = True
    freeze_failed: bool = False
    froze: bool = False

    async def refuse(self) -> None:
        """Count the hooks as failed, without running any."""
        error = HookError(
            f"The hooks of guest {self.guest.id} are not run: {self.guest.hooks_refused}.",
            advice="Let only root write that file and its folder: chmod go-w.",
        )
        for hook in self.guest.hooks:
            await self._noted(self.recorder.failed(self.guest, hook))
        if self.guest.on_freeze_failure is FreezeFailure.ERROR:
            raise error
        self.log("warning", f"{error} The snapshot is taken anyway.")

    async def record(self) -> None:
        """Record the guest as frozen, if it has both hooks; a cancel meanwhile takes that back."""
        if self.guest.freeze is None or self.guest.thaw is None:
            return
        recording = asyncio.ensure_future(self.recorder.freezing(self.guest, self.guest.thaw))
        try:
            await finish_despite_cancel(recording)
        except asyncio.CancelledError:
            if not recording.result():
                await finish_despite_cancel(self.recorder.thawed(self.guest))
            raise
        self.was_frozen = recording.result()

    async def freeze(self) -> None:
        if self.guest.freeze is None:
            return
        try:
            await run_hook(Hook.FREEZE, self.guest.id, self.guest.freeze, self.guest.hook_timeout, self.host)
        except HookError as error:
            is_cut_off = error.__cause__ is not None  # by its time limit for example
            self.freeze_failed = not is_cut_off
            self.may_be_frozen = is_cut_off or self.was_frozen
            await self._noted(self.recorder.failed(self.guest, Hook.FREEZE))
            if self.guest.on_freeze_failure is FreezeFailure.ERROR:
                raise
            self.log("warning", f"{error.what} The snapshot is taken anyway.")
        else:
            self.froze = True

    async def end(self) -> None:
        """Thaw the guest. That its freeze succeeded is recorded after it: the guest waits for no disk of zsr's."""
        try:
            await self.thaw()
        finally:
            if self.froze:
                await self._noted(self.recorder.froze(self.guest))

    async def thaw(self) -> None:
        if self.guest.thaw is None:
            return
        try:
            await run_hook(Hook.THAW, self.guest.id, self.guest.thaw, self.guest.hook_timeout, self.host)
        except HookError as error:
            if self.may_be_frozen and self.freeze_failed:  # off since it was frozen, or frozen still: the record stays
                self.log("error", f"{error.what} The freeze hook failed too; the guest is still recorded as frozen.")
                await self._noted(self.recorder.thaw_failed(self.guest, error.what))
                return
            if self.may_be_frozen:
                await self._stays_frozen(error, self.guest.thaw)
            # The agent of a guest that is off answers neither hook.
            self.log("warning", f"{error.what} The freeze hook failed too.")
            await self._noted(self.recorder.failed(self.guest, Hook.THAW))
        await self.recorder.thawed(self.guest)

    async def _stays_frozen(self, error: HookError, command: str) -> None:
        what = f"{error.what} Guest {self.guest.id} may still be frozen."
        self.log("error", what)
        await self._noted(self.recorder.thaw_failed(self.guest, error.what))
        raise HookError(what, advice=f"Thaw it now: {command}", raw=error.raw) from error

    async def _noted(self, note: Awaitable[None]) -> None:
        """What cannot be recorded neither hides a failure nor makes one."""
        try:
            await note
        except ZsrError as error:
            self.log("error", f"Could not record how a hook ended: {error.what}")


async def run_hook(hook: Hook, guest: GuestId, command: str, limit: float, host: Host) -> None:
    """Run a hook of a guest on its node, for ``limit`` seconds at most.

    Raises:
        HookError: it failed. It has a cause if zsr could not run it to its end.
    """
    try:
        done = await run_configured(host, ["sh", "-c", command], limit=limit)
    except ZsrError as error:
        raise HookError(f"The {hook} hook of guest {guest} failed: {error.what}", raw=error.raw) from error
    if not done.ok:
        lines = done.stderr.strip().splitlines()
        why = lines[-1] if lines else f"exit status {done.status}"
        raise HookError(f"The {hook} hook of guest {guest} failed: {why}.", raw=done.stderr)
