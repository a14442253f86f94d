"""Records what the hooks of a run do, in ``state.db``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from replicator.models import Guest, Hook, JobId
from replicator.state.guest_hooks import GuestHooks


@dataclass(frozen=True, slots=True)
class HookRecords:
    """The hooks of one run (`replicator.replication.hooks.HookRecorder`)."""

    hooks: GuestHooks
    job: JobId
    run: int
    clock: Callable[[], float]

    async def freezing(self, guest: Guest, thaw: str) -> bool:
        """See `HookRecorder.freezing`."""
        return await asyncio.to_thread(
            self.hooks.record_freeze, guest, thaw, job=self.job, run=self.run, now=self.clock()
        )

    async def thawed(self, guest: Guest) -> None:
        """See `HookRecorder.thawed`."""
        await asyncio.to_thread(self.hooks.record_thaw, guest.id, self.clock())

    async def froze(self, guest: Guest) -> None:
        """See `HookRecorder.froze`."""
        await asyncio.to_thread(self.hooks.record_froze, guest.id, self.clock())

    async def failed(self, guest: Guest, hook: Hook) -> None:
        """See `HookRecorder.failed`."""
        await asyncio.to_thread(self.hooks.count_failure, guest.id, hook, self.clock())

    async def thaw_failed(self, guest: Guest, message: str) -> None:
        """See `HookRecorder.thaw_failed`."""
        await asyncio.to_thread(self.hooks.record_failed_thaw, guest.id, message, self.clock())
