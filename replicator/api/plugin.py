"""Protocols between the core and its plugins, exporter and alerts (entry-point group ``zsr.plugins``).

A plugin imports the core; the core finds plugins by entry point and knows only these protocols. A plugin reads the
frozen `Status` of the core, the journal of events and the totals of past runs; it cannot change any of them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol, runtime_checkable

from replicator.api.certificate import Certificate
from replicator.api.doctor import Line, Visit
from replicator.api.job_status import JobHistory
from replicator.api.problem import Problem
from replicator.api.status import Status
from replicator.events import Event
from replicator.models import Job, JobId

READ_TO = "journal/read-to"
"""Key under which a plugin that reads the journal stores the number of the last event that it has processed."""


ENTRY_POINT_GROUP = "zsr.plugins"


class PluginStore(Protocol):
    """Durable key-value store of one plugin in ``state.db``; keys and values are strings.

    A plugin that reads the journal stores under `READ_TO` the number of the last event that it has processed; later
    events are kept for it, up to a hundred thousand.
    """

    def get(self, key: str) -> str | None:
        """Return the value of a key, or None."""

    def items(self, prefix: str) -> dict[str, str]:
        """Return the entries whose keys have a prefix, in the order of the keys."""

    def put(self, key: str, value: str | None) -> None:
        """Write a value (None: delete the key); durable when this returns."""

    def put_all(self, notes: Mapping[str, str | None]) -> None:
        """Write many values (None: delete the key), all of them or none; durable when this returns."""


class Core(Protocol):
    """The core as a running plugin sees it."""

    def status(self) -> Status:
        """Return the current status; cheap, without I/O, callable from the event loop only."""

    async def events(self, after: int) -> list[tuple[int, Event]]:
        """Return the journal's events with a number above ``after``, oldest first; waits until there is one."""

    def last_event(self) -> int:
        """Return the number of the journal's newest event (0 when it is empty)."""

    def first_event(self) -> int:
        """Return the number of the journal's oldest event (0 when it is empty)."""

    async def history(self, begin: float, end: float) -> Mapping[JobId, JobHistory]:
        """Return totals of the runs that ended in a period, by job; only runs that are still kept (``[history]``)."""

    def show_certificates(self, certificates: Sequence[Certificate]) -> None:
        """Show the certificates that a plugin presents from now on, in place of those of before."""

    def show_unreported(self, jobs: Collection[JobId] | None) -> None:
        """Show the jobs whose broken promise would reach nobody; None: messages are not sent at all."""

    def memory(self, plugin: str) -> PluginStore:
        """Return the store of a plugin. Of another one, read only what `replicator.api` defines, and write nothing."""


@runtime_checkable
class Plugin(Protocol):
    """A plugin of the daemon. An entry point names its class, which is constructed without arguments.

    ``sections`` are the top-level keys of ``zsr.toml`` that belong to it; it gets no others, and absent ones are left
    out.
    """

    @property
    def sections(self) -> tuple[str, ...]:
        """The names of its sections."""

    def check(self, sections: Mapping[str, object]) -> list[Problem]:
        """Return all problems of the plugin's sections; keys begin with the section's name."""

    async def run(self, core: Core, sections: Mapping[str, object]) -> None:
        """Run until cancelled. ``sections`` have passed ``check``. An exception is logged and ends the plugin only."""


@runtime_checkable
class InspectingPlugin(Plugin, Protocol):
    """A plugin whose sections name files of its own. Problems in those do not keep the daemon from starting."""

    def inspect(self, sections: Mapping[str, object]) -> list[Problem]:
        """Return all problems of the files that checked sections name; for ``zsr config check``."""


@runtime_checkable
class NotingPlugin(Plugin, Protocol):
    """A plugin with remarks on settings that are valid."""

    def notes(self, sections: Mapping[str, object], jobs: Sequence[Job]) -> list[str]:
        """Return sentences about what checked sections hardly mean; ``jobs`` are those of this node."""


@runtime_checkable
class DoctorPlugin(Plugin, Protocol):
    """A plugin with checks for ``zsr doctor``, which runs in a process of its own, with a daemon or without one."""

    @property
    def doctor_checks(self) -> tuple[str, ...]:
        """The names of its checks."""

    async def examine(self, check: str, sections: Mapping[str, object], visit: Visit) -> list[Line]:
        """Return the lines of one of its checks, of ``visit.node``. ``sections`` have passed ``check``.

        It may be cancelled at any time. Without ``visit.send`` it changes nothing anywhere.
        """
