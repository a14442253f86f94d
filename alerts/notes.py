"""What the plugin remembers in ``state.db``: per target its place in the journal, its outbox, and the counters.

One key per target: that a batch of events became messages, or that one of them was sent, is one write, and a crash
cannot fall between the two halves of either.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from alerts import policy
from alerts.policy import Held, Incident, Telling
from replicator.events import RunFailed, RunSucceeded
from replicator.journal import from_json, to_json
from replicator.plugins import Memory

COUNTERS = "counters"
"""Key of the counters, JSON ``{"<target>": {"success": n, "failure": n}}``; the exporter reads it."""

_TARGETS = "targets"
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TargetNotes:
    """How far one target is.

    Attributes:
        cursor: the last event of the journal that was folded into messages or needs none.
        memory: what is remembered of jobs once all of the outbox is sent.
        outbox: the messages to send, oldest first.
    """

    cursor: int
    memory: policy.Memory = field(default_factory=policy.Memory)
    outbox: tuple[Telling, ...] = ()


def load_notes(memory: Memory, target: str) -> TargetNotes | None:
    """The notes of a target; None if there are none yet, or if they are damaged (said in the log)."""
    text = memory.get(_key(target))
    if text is None:
        return None
    try:
        data = json.loads(text)
        incidents = {job: _incident(fields) for job, fields in data["incidents"].items()}
        held = {node: tuple(_held(fields) for fields in waiting) for node, waiting in data.get("held", {}).items()}
        outbox = tuple(_telling(fields) for fields in data.get("outbox", ()))
        return TargetNotes(int(data["cursor"]), policy.Memory(incidents, held), outbox)
    except (ValueError, TypeError, KeyError, AttributeError):
        _LOG.error("The notes of notification target '%s' are damaged; it begins anew with the next event.", target)
        return None


def save_notes(memory: Memory, target: str, notes: TargetNotes) -> None:
    """Write the notes of a target; durable when this returns."""
    data = {
        "cursor": notes.cursor,
        "incidents": {job: _fields(incident) for job, incident in notes.memory.incidents.items()},
        "held": {
            node: [[_event_fields(each.number, each.event), _fields(each.incident)] for each in waiting]
            for node, waiting in notes.memory.held.items()
        },
        "outbox": [_telling_fields(telling) for telling in notes.outbox],
    }
    memory.put(_key(target), json.dumps(data))


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


def _fields(incident: Incident | None) -> list[object] | None:
    return None if incident is None else [incident.told, incident.synced, incident.node]


def _incident(fields: list[Any]) -> Incident:
    told, synced, *node = fields  # notes of before there were nodes' troubles have two
    if any(not isinstance(moment, int | float | None) for moment in (told, synced)):
        raise ValueError(f"no times: {fields}")
    return Incident(told, synced, *map(str, node))


def _event_fields(number: int, event: RunFailed | RunSucceeded) -> list[object]:
    return [number, *to_json(event)]


def _event(fields: list[Any]) -> tuple[int, RunFailed | RunSucceeded]:
    number, kind, body = fields
    event = from_json(kind, body)
    if not isinstance(event, RunFailed | RunSucceeded):
        raise TypeError(f"nothing is told of {kind}")
    return int(number), event


def _held(fields: list[Any]) -> Held:
    number, event = _event(fields[0])
    if not isinstance(event, RunSucceeded):
        raise TypeError("only a recovery is held back")
    return Held(number, event, _incident(fields[1]))


def _telling_fields(telling: Telling) -> dict[str, object]:
    return {
        "events": [_event_fields(number, event) for number, event in telling.events],
        "incidents": {job: _fields(incident) for job, incident in telling.incidents.items()},
        "node": telling.node,
        "along": list(telling.along),
    }


def _telling(data: Mapping[str, Any]) -> Telling:
    events = tuple(_event(fields) for fields in data["events"])
    incidents = {job: None if fields is None else _incident(fields) for job, fields in data["incidents"].items()}
    return Telling(events, incidents, str(data["node"]), tuple(map(str, data["along"])))


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
