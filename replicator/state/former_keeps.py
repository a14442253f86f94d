"""The values of ``keep`` that a job had until lately, in ``state.db``: what they wanted waits for the job's grace.

A file that was cut, or an old copy of it, has another ``keep``, and restore points that are gone do not come back. What
a person sets by ``zsr update`` counts at once.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from replicator.models import JobId
from replicator.schedule.grace import Terms, waited_on
from replicator.state.database import Database
from replicator.state.plugin_store import SqlitePluginStore

STORE = "zsr.keeps"
"""The name under which `memory` has them; no plugin has it."""

_Wait = tuple[float, float]
"""When a former value was last seen to wait (unix time), and the seconds that it has waited."""


@dataclass(frozen=True, slots=True)
class FormerKeeps:
    """Notes each change of a job's ``keep``. Blocks."""

    database: Database

    def note(self, job: JobId, keep: str, grace: float, now: float, *, gap: float = 0.0) -> dict[str, float]:
        """Note the ``keep`` that a job has now; return those that it had in its ``grace`` (seconds), with their ends.

        The clock is not trusted: what counts of the wait is what counts of a grace (`schedule.grace`), and the ends are
        as if that were all the time since. ``gap``: the seconds that may lie between two runs, by the schedule.
        """
        left = self._left(job, keep, Terms(grace, gap), now)
        self._write(job, keep, left)
        return _ends(left, now)

    def known(self, job: JobId, keep: str, grace: float, now: float, *, gap: float = 0.0) -> dict[str, float]:
        """Return the same as `note`, without writing anything."""
        return _ends(self._left(job, keep, Terms(grace, gap), now), now)

    def _left(self, job: JobId, keep: str, terms: Terms, now: float) -> dict[str, _Wait]:
        current, ended = self._read(job)
        waits = {text: waited_on(seen, waited, terms, now) for text, (seen, waited) in ended.items()}
        if current not in (None, keep):
            waits[current or ""] = now, 0.0
        return {text: wait for text, wait in waits.items() if text != keep and wait[1] < terms.grace}

    def confirm(self, job: JobId, keep: str) -> None:
        """Note that a person wants this ``keep``, and nothing that an earlier one wanted."""
        self._write(job, keep, {})

    def wanted(self, job: JobId) -> tuple[str, ...]:
        """Return the ``keep`` that a job had at its last run, and those before it that still wait."""
        current, ended = self._read(job)
        return (*(() if current is None else (current,)), *ended)

    def inherit(self, job: JobId, keep: str, texts: Iterable[str], now: float) -> None:
        """Note that a job of this ``keep`` got restore points of which another job wanted so much, from now on."""
        current, ended = self._read(job)
        self._write(job, current or keep, {**ended, **{text: (now, 0.0) for text in texts if text != keep}})

    def _read(self, job: JobId) -> tuple[str | None, dict[str, _Wait]]:
        text = SqlitePluginStore(self.database, STORE).get(str(job))
        if text is None:
            return None, {}
        with self.database.decoding():
            found = json.loads(text)
            return str(found["keep"]), {str(each): _wait(at) for each, at in found["ended"].items()}

    def _write(self, job: JobId, keep: str, ended: dict[str, _Wait]) -> None:
        text = json.dumps({"keep": keep, "ended": ended}, sort_keys=True)
        store = SqlitePluginStore(self.database, STORE)
        if store.get(str(job)) != text:
            store.put(str(job), text)


def _wait(value: float | list[float]) -> _Wait:
    """Return a wait as it is stored; an older zsr stored only when it had begun."""
    return (value[0], value[1]) if isinstance(value, list) else (float(value), 0.0)


def _ends(waits: dict[str, _Wait], now: float) -> dict[str, float]:
    return {text: now - waited for text, (_, waited) in waits.items()}
