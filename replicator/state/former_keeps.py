"""The values of ``keep`` that a job had until lately, in ``state.db``: what they wanted waits for the job's grace.

A file that was cut, or an old copy of it, has another ``keep``, and restore points that are gone do not come back. What
a person sets by ``zsr update`` counts at once.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from replicator.models import JobId
from replicator.state.database import Database
from replicator.state.plugin_store import SqlitePluginStore

STORE = "zsr.keeps"
"""The name under which `memory` has them; no plugin has it."""


@dataclass(frozen=True, slots=True)
class FormerKeeps:
    """Notes each change of a job's ``keep``. Blocks."""

    database: Database

    def note(self, job: JobId, keep: str, grace: float, now: float) -> dict[str, float]:
        """Note the ``keep`` that a job has now; return those that it had in its ``grace`` (seconds), with their ends.

        A clock that was set back begins the wait again.
        """
        current, ended = self._read(job)
        if current not in (None, keep):
            ended[current or ""] = now
        left = {text: min(at, now) for text, at in ended.items() if text != keep and now - min(at, now) < grace}
        self._write(job, keep, left)
        return left

    def known(self, job: JobId, keep: str, grace: float, now: float) -> dict[str, float]:
        """Return the same as `note`, without writing anything."""
        current, ended = self._read(job)
        if current not in (None, keep):
            ended[current or ""] = now
        return {text: at for text, at in ended.items() if text != keep and now - at < grace}

    def confirm(self, job: JobId, keep: str) -> None:
        """Note that a person wants this ``keep``, and nothing that an earlier one wanted."""
        self._write(job, keep, {})

    def _read(self, job: JobId) -> tuple[str | None, dict[str, float]]:
        text = SqlitePluginStore(self.database, STORE).get(str(job))
        if text is None:
            return None, {}
        found = json.loads(text)
        return str(found["keep"]), {str(each): float(at) for each, at in found["ended"].items()}

    def _write(self, job: JobId, keep: str, ended: dict[str, float]) -> None:
        text = json.dumps({"keep": keep, "ended": ended}, sort_keys=True)
        store = SqlitePluginStore(self.database, STORE)
        if store.get(str(job)) != text:
            store.put(str(job), text)
