"""Thaws the guests that a run may have left frozen: at the start before any run, and again while that fails.

A run records its guest before the freeze hook, and takes the record back after the thaw (`replication.hooks`). A record
of a guest whose lock is free was left behind: by a kill, a power cut, or a thaw hook that failed. The lock keeps this
from thawing a guest whose snapshot is just being taken, here or by another process.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from replicator.common.tasks import finish_despite_cancel
from replicator.config.settings import Settings
from replicator.errors import BusyError, HookError, ZsrError
from replicator.hosts.host import Host
from replicator.models import Guest, GuestId, Hook
from replicator.replication.hooks import run_hook
from replicator.state.guest_hooks import FrozenGuest, GuestHooks, HookFailures
from replicator.state.guest_locks import guest_lock
from replicator.state.stores import State
from replicator.zfs.node_clients import Nodes

RETRY_SECONDS = 60.0
"""Seconds from the end of an attempt to the next one; a hook that hangs leaves the guest's lock free for so long."""
LOOK_SECONDS = 2.0
"""Seconds between two looks at the records."""

_log = logging.getLogger("zsr.daemon")


@dataclass(frozen=True, slots=True)
class Thaws:
    """Thaws recorded guests of this node, one call for each guest.

    Args:
        hooks: the records.
        locks: the folder of the guests' locks.
        host: this node.
        guests: returns the guests of the cluster as they are now.
        clock: unix time.
        announce: called after the journal has a new event.
    """

    hooks: GuestHooks
    locks: Path
    host: Callable[[], Host]
    guests: Callable[[], Mapping[GuestId, Guest]]
    clock: Callable[[], float]
    announce: Callable[[], Awaitable[None]]

    @classmethod
    def of_node(
        cls,
        settings: Settings,
        state: State,
        nodes: Nodes,
        *,
        guests: Callable[[], Mapping[GuestId, Guest]],
        clock: Callable[[], float],
        announce: Callable[[], Awaitable[None]],
    ) -> Thaws:
        """Return what thaws the guests of the node whose settings these are."""
        locks = settings.state_dir / "locks"
        return cls(state.hooks, locks, lambda: nodes.client(settings.node).host, guests, clock, announce)

    async def thaw(self, guest: GuestId, locked: asyncio.Event | None = None) -> None:
        """Thaw a guest if it is recorded and nobody works with it; never raises an error, and logs what fails.

        ``locked`` is set as soon as the guest's lock is held, or cannot be had.
        """
        try:
            with guest_lock(self.locks, guest):
                if locked is not None:
                    locked.set()
                # A thaw that is cut off by a cancel would be one that failed.
                await finish_despite_cancel(self._thaw_recorded(guest))
        except BusyError:
            _log.debug("Guest %s may be frozen; its lock is held, by a run for example, which thaws it.", guest)
        except ZsrError as error:
            _log.error("Could not thaw guest %s, or not record it: %s", guest, error)
        except Exception:  # noqa: BLE001 - a task's outermost frame: one guest's failure is not the daemon's
            _log.exception("Could not thaw guest %s (class internal); it is tried again.", guest)
        finally:
            if locked is not None:
                locked.set()

    async def thaw_all(self) -> None:
        """Thaw all recorded guests at once, each as `thaw` does; the slowest hook decides how long that takes."""
        async with asyncio.TaskGroup() as group:
            for record in await asyncio.to_thread(self.hooks.frozen):
                group.create_task(self.thaw(record.guest))

    async def _thaw_recorded(self, guest: GuestId) -> None:
        record = await asyncio.to_thread(self.hooks.get, guest)
        if record is None:  # a run has thawed it meanwhile
            return
        command, limit = _command(record, self.guests().get(guest))
        try:
            await run_hook(Hook.THAW, guest, command, limit, self.host())
        except HookError as error:
            since = time.ctime(record.since)
            _log.error("Guest %s may be frozen since %s: %s Thaw it now: %s", guest, since, error.what, command)
            await asyncio.to_thread(self.hooks.record_failed_thaw, guest, error.what, self.clock())
        else:
            _log.warning("Guest %s was left frozen by a run of job %s, and is thawed now.", guest, record.job)
            await asyncio.to_thread(self.hooks.record_thaw, guest, self.clock())
        await self.announce()


def _command(record: FrozenGuest, known: Guest | None) -> tuple[str, float]:
    """Return the guest's thaw command and its time limit: those of today's settings, else those that were recorded.

    What was recorded was read from a file that only root could write.
    """
    if known is not None and known.thaw is not None and not known.hooks_refused:
        return known.thaw, known.hook_timeout
    return record.thaw, record.time_limit


class FrozenGuests:
    """Watches the records in the daemon: ``since`` (unix time, by guest), ``failures`` and ``failed_freezes`` are of
    the last look.
    """

    def __init__(self, thaws: Thaws) -> None:
        self.since: Mapping[GuestId, float] = {}
        self.failures: HookFailures = {}
        self.failed_freezes: Mapping[GuestId, int] = {}
        self._thaws = thaws
        self._attempts: set[GuestId] = set()

    async def begin(self, tasks: asyncio.TaskGroup) -> None:
        """Start to thaw the recorded guests. When this returns, their locks make runs wait for the thaw.

        Raises:
            ZsrError: state.db cannot be read.
        """
        await self._look()
        for guest in self.since:
            locked = asyncio.Event()
            self._start(guest, tasks, locked)
            await locked.wait()

    async def keep_thawing(self, tasks: asyncio.TaskGroup) -> None:
        """Look at the records again and again, until cancelled, and try to thaw each guest every minute."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self._look()
            except ZsrError as error:
                _log.error("%s", error)
            for guest in self.since:
                if guest not in self._attempts:
                    self._start(guest, tasks, None)

    def _start(self, guest: GuestId, tasks: asyncio.TaskGroup, locked: asyncio.Event | None) -> None:
        self._attempts.add(guest)
        tasks.create_task(self._attempt(guest, locked), name=f"thaw guest {guest}")

    async def _attempt(self, guest: GuestId, locked: asyncio.Event | None) -> None:
        try:
            await self._thaws.thaw(guest, locked)
            await asyncio.sleep(RETRY_SECONDS)
        finally:
            self._attempts.discard(guest)

    async def _look(self) -> None:
        hooks = self._thaws.hooks
        records, self.failures, self.failed_freezes = await asyncio.to_thread(
            lambda: (hooks.frozen(), hooks.failures(), hooks.failed_freezes(self._thaws.clock()))
        )
        self.since = {record.guest: record.since for record in records}
