"""Runs the plugins, and gives them the status, the journal as a feed, and their own stored values."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress

from replicator.api.certificate import Certificate
from replicator.api.job_status import JobHistory
from replicator.api.plugin import Plugin
from replicator.api.status import PluginEnds, Status
from replicator.config.plugins import sections_of
from replicator.errors import ZsrError
from replicator.events import Event
from replicator.models import JobId
from replicator.state.plugin_store import SqlitePluginStore
from replicator.state.stores import State

PLUGIN_RESTART_SECONDS = 30.0
"""Seconds until a plugin that ended with an error is restarted."""

_POLL_SECONDS = 5.0
_log = logging.getLogger("zsr.daemon")


class PluginHost:
    """The `replicator.api.plugin.Core` that plugins get, and what is to be shown of them.

    Attributes:
        ends: how often each of them ended.
        certificates, unreported: as in `Status`.

    Args:
        state: the stores.
        status: returns the status of the moment.
        clock: unix time.
    """

    def __init__(self, state: State, status: Callable[[], Status], clock: Callable[[], float] = time.time) -> None:
        self.ends: dict[str, PluginEnds] = {}
        self.certificates: tuple[Certificate, ...] = ()
        self.unreported: tuple[JobId, ...] | None = None
        self._state = state
        self._status = status
        self._clock = clock
        self._news = asyncio.Condition()
        self._sections: Mapping[str, object] = {}
        self._running: dict[str, tuple[Plugin, asyncio.Event]] = {}

    def status(self) -> Status:
        """See `Core.status`."""
        return self._status()

    async def events(self, after: int) -> list[tuple[int, Event]]:
        """See `Core.events`. Also polls, since another process may write to the journal too."""
        while True:
            found = await asyncio.to_thread(self._state.journal.events, after)
            if found:
                return found
            async with self._news:
                try:
                    async with asyncio.timeout(_POLL_SECONDS):
                        await self._news.wait()
                except TimeoutError:
                    continue

    def last_event(self) -> int:
        """See `Core.last_event`."""
        return self._state.journal.last_event()

    def first_event(self) -> int:
        """See `Core.first_event`."""
        return self._state.journal.first_event()

    async def history(self, begin: float, end: float) -> dict[JobId, JobHistory]:
        """See `Core.history`."""
        return await asyncio.to_thread(self._state.runs.histories, begin, end)

    def show_certificates(self, certificates: Sequence[Certificate]) -> None:
        """See `Core.show_certificates`."""
        self.certificates = tuple(certificates)

    def show_unreported(self, jobs: Collection[JobId] | None) -> None:
        """See `Core.show_unreported`."""
        self.unreported = None if jobs is None else tuple(sorted(jobs))

    def memory(self, plugin: str) -> SqlitePluginStore:
        """See `Core.memory`."""
        return self._state.plugin_store(plugin)

    async def announce(self) -> None:
        """Wake the plugins that wait for events."""
        async with self._news:
            self._news.notify_all()

    async def run_plugin(self, name: str, plugin: Plugin, sections: Mapping[str, object]) -> None:
        """Run a plugin with its sections; one that fails is logged and restarted, and never ends the replication."""
        self.ends.setdefault(name, PluginEnds())
        self._sections = sections
        _, reload = self._running[name] = plugin, asyncio.Event()
        while True:
            reload.clear()
            pause = await self._run_until(reload, name, plugin)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await reload.wait()

    def reload(self, sections: Mapping[str, object]) -> None:
        """Start those plugins again whose sections have changed, with the new ones."""
        before, self._sections = self._sections, sections
        for plugin, reload in self._running.values():
            if sections_of(plugin, before) != sections_of(plugin, sections):
                reload.set()

    async def _run_until(self, reload: asyncio.Event, name: str, plugin: Plugin) -> float | None:
        """Run a plugin until it ends or is reloaded; return the seconds until its next start, None: with a reload."""
        tasks = asyncio.ensure_future(self._run(name, plugin)), asyncio.ensure_future(reload.wait())
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            return tasks[0].result() if tasks[0].done() else 0.0
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _run(self, name: str, plugin: Plugin) -> float | None:
        """Run a plugin once, with its sections as they are; return as `_run_until`."""
        try:
            await plugin.run(self, sections_of(plugin, self._sections))
        except ZsrError as error:
            self._note_end(name, str(error))
            _log.error("Plugin %s ended: %s It is restarted in %d s.", name, error, PLUGIN_RESTART_SECONDS)
        except Exception as error:  # noqa: BLE001 - a task's outermost frame
            self._note_end(name, f"Unexpected {type(error).__name__}.")
            _log.exception("Plugin %s ended (class internal); it is restarted in %d s.", name, PLUGIN_RESTART_SECONDS)
        else:
            return None
        return PLUGIN_RESTART_SECONDS

    def _note_end(self, name: str, reason: str) -> None:
        self.ends[name] = PluginEnds(self.ends[name].count + 1, self._clock(), reason)
