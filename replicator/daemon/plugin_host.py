"""Runs the plugins, and gives them the status, the journal as a feed, and their own stored values."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

from replicator.api.plugin import Plugin
from replicator.api.status import JobHistory, Status
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
    """The `replicator.api.plugin.Core` that plugins get. ``status`` returns the status of the moment."""

    def __init__(self, state: State, status: Callable[[], Status]) -> None:
        self._state = state
        self._status = status
        self._news = asyncio.Condition()

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

    def memory(self, plugin: str) -> SqlitePluginStore:
        """See `Core.memory`."""
        return self._state.plugin_store(plugin)

    async def announce(self) -> None:
        """Wake the plugins that wait for events."""
        async with self._news:
            self._news.notify_all()

    async def run_plugin(self, name: str, plugin: Plugin, sections: Mapping[str, object]) -> None:
        """Run a plugin with its sections; one that fails is logged and restarted, and never ends the replication."""
        while True:
            try:
                await plugin.run(self, sections_of(plugin, sections))
            except ZsrError as error:
                _log.error("Plugin %s ended: %s It is restarted in %d s.", name, error, PLUGIN_RESTART_SECONDS)
            except Exception:  # noqa: BLE001 - a task's outermost frame
                _log.exception(
                    "Plugin %s ended (class internal); it is restarted in %d s.", name, PLUGIN_RESTART_SECONDS
                )
            else:
                return
            await asyncio.sleep(PLUGIN_RESTART_SECONDS)
