"""What the plugin remembers in ``state.db``: per target how far it is in the journal, and the counters.

One key per target, so that the step from "sent" to "noted" is one write and a crash cannot fall between two.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from alerts.policy import Incident
from replicator.plugins import Memory

COUNTERS = "counters"
"""Key of the counters, JSON ``{"<target>": {"success": n, "failure": n}}``; the exporter reads it."""

_TARGETS = "targets"
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TargetNotes:
    """How far one target is: the last journal event that is settled, and the jobs that fail (by job id)."""

    cursor: int
    incidents: Mapping[str, Incident] = field(default_factory=dict)

    def after(self, number: int, job: str, incident: Incident | None) -> TargetNotes:
        """The notes when an event is settled; None forgets the job."""
        incidents = dict(self.incidents)
        incidents.pop(job, None)
        if incident is not None:
            incidents[job] = incident
        return TargetNotes(number, incidents)


def load_notes(memory: Memory, target: str) -> TargetNotes | None:
    """The notes of a target; None if there are none yet, or if they are damaged (said in the log)."""
    text = memory.get(_key(target))
    if text is None:
        return None
    try:
        data = json.loads(text)
        incidents = {job: Incident(told, synced) for job, (told, synced) in data["incidents"].items()}
        return TargetNotes(int(data["cursor"]), incidents)
    except (ValueError, TypeError, KeyError, AttributeError):
        _LOG.error("The notes of notification target '%s' are damaged; it begins anew with the next event.", target)
        return None


def save_notes(memory: Memory, target: str, notes: TargetNotes) -> None:
    """Write the notes of a target; durable when this returns."""
    incidents = {job: [incident.told, incident.synced] for job, incident in notes.incidents.items()}
    memory.put(_key(target), json.dumps({"cursor": notes.cursor, "incidents": incidents}))


def forget_absent_targets(memory: Memory, active: Iterable[str]) -> None:
    """Drop the notes of targets that are gone or switched off.

    A target that comes back after a month must not be sent the month.
    """
    names = sorted(active)
    before = _load_json(memory, _TARGETS)
    for name in before if isinstance(before, list) else []:
        if isinstance(name, str) and name not in names:
            memory.put(_key(name), None)
    memory.put(_TARGETS, json.dumps(names))


class Counters:
    """How many messages each target took, and how many attempts failed; kept over restarts, all targets from 0."""

    def __init__(self, memory: Memory, targets: Iterable[str]) -> None:
        self._memory = memory
        before = _load_json(memory, COUNTERS)
        known = before if isinstance(before, dict) else {}
        self._counts = {name: _counts(known.get(name)) for name in targets}
        self._save()

    def add(self, target: str, *, success: bool) -> None:
        """Count one attempt."""
        self._counts[target]["success" if success else "failure"] += 1
        self._save()

    def _save(self) -> None:
        self._memory.put(COUNTERS, json.dumps(self._counts))


def _counts(known: object) -> dict[str, int]:
    values = known if isinstance(known, dict) else {}
    return {key: int(value) if isinstance(value := values.get(key), int) else 0 for key in ("success", "failure")}


def _load_json(memory: Memory, key: str) -> object:
    try:
        loaded: object = json.loads(memory.get(key) or "null")
    except ValueError:
        return None
    return loaded


def _key(target: str) -> str:
    return f"target/{target}"
