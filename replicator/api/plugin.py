"""The protocol through which exporter and alerts attach to the core (entry-point group ``zsr.plugins``).

The arrows point inward: a plugin imports the core, the core finds plugins by entry point and knows only the
protocols here. A plugin reads one frozen picture of the core (`Status`) and the journal of events; it cannot
change anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from replicator.api.problem import Problem
from replicator.api.status import JobHistory, Status
from replicator.events import Event
from replicator.models import JobId

READ_TO = "journal/read-to"
"""Under this key a plugin notes the number of the last event of the journal that it needs no more, if it reads it."""


ENTRY_POINT_GROUP = "zsr.plugins"


class PluginStore(Protocol):
    """A plugin's own durable notes in ``state.db``; keys and values are strings.

    A plugin that reads the journal notes under `replicator.api.plugin.READ_TO` the number of the last event that it
    needs no more; what comes after it is kept for it, up to a hundred thousand events.
    """

    def get(self, key: str) -> str | None:
        """The value of a key, or None."""

    def items(self, prefix: str) -> dict[str, str]:
        """The notes whose keys begin with a text, in the order of the keys."""

    def put(self, key: str, value: str | None) -> None:
        """Write a value (None: forget the key); durable when this returns."""

    def put_all(self, notes: Mapping[str, str | None]) -> None:
        """Write many notes (None: forget the key), all of them or none; durable when this returns."""


class Core(Protocol):
    """What a running plugin sees of the core."""

    def status(self) -> Status:
        """The picture of this moment; cheap, no I/O, callable from the event loop only."""

    async def events(self, after: int) -> list[tuple[int, Event]]:
        """The journal's events with a number above ``after``, oldest first; waits until there is one."""

    def last_event(self) -> int:
        """The number of the journal's newest event (0 when it is empty)."""

    def first_event(self) -> int:
        """The number of the journal's oldest event that is kept (0 when it is empty)."""

    async def history(self, begin: float, end: float) -> Mapping[JobId, JobHistory]:
        """What the runs that ended in a time came to, by job; only those that are remembered (``[history]``)."""

    def memory(self, plugin: str) -> PluginStore:
        """The durable notes of a plugin."""


@runtime_checkable
class Plugin(Protocol):
    """A sink for what the core does. Its class is named by an entry point and constructed without arguments.

    ``sections`` are the top-level keys of ``zsr.toml`` that belong to it; it is given no others, and those that are
    absent are left out.
    """

    @property
    def sections(self) -> tuple[str, ...]:
        """The names of its sections."""

    def check(self, sections: Mapping[str, object]) -> list[Problem]:
        """All that is wrong with the plugin's sections; keys begin with the section's name."""

    async def run(self, core: Core, sections: Mapping[str, object]) -> None:
        """Work until cancelled. ``sections`` have passed ``check``. An exception is logged and ends the plugin only."""


@runtime_checkable
class InspectingPlugin(Plugin, Protocol):
    """A plugin whose sections name files of its own. What is wrong in those does not keep the daemon from starting."""

    def inspect(self, sections: Mapping[str, object]) -> list[Problem]:
        """All that is wrong with the files that sections name which passed ``check``; for ``zsr config check``."""
