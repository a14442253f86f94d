"""What the plugin remembers in ``state.db``: per target its place in the journal, its outbox, and the counters.

One key per target: that a batch of events became messages, or that one of them was sent, is one write, and a crash
cannot fall between the two halves of either. What became of a message is kept under a key of its own, in that write.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any

from alerts.delivery.outbox import Entry, entry_json, entry_of
from alerts.grouping import grouping
from alerts.grouping.conditions import Condition
from alerts.grouping.flapping import Flap
from alerts.grouping.grouping import Held, Incident, NotificationGroup
from replicator.api import counters
from replicator.api.event_codec import from_json, to_json
from replicator.api.plugin import PluginStore
from replicator.events import RunFailed, RunSucceeded

COUNTERS, OUTCOMES = counters.KEY, counters.OUTCOMES
KEPT = 200
"""So many messages of a target are remembered after they were sent or given up."""
RESEND = "resend/"
"""Keys that begin so, and go on like ``mail-17``, ask for a message to be sent again."""

_TARGETS = "targets"
_log = logging.getLogger("zsr.alerts")


class DeliveryStatus(StrEnum):
    """What became of a message."""

    PENDING = "pending"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"


@dataclass(frozen=True, slots=True)
class Record:
    """A message in the log: its target, and when its fate was sealed (unix time; None while it is pending)."""

    target: str
    entry: Entry
    fate: DeliveryStatus
    at: float | None

    @property
    def name(self) -> str:
        """What ``zsr notify resend`` calls it."""
        return f"{self.target}-{self.entry.number}"


@dataclass(frozen=True, slots=True)
class TargetState:
    """How far one target is.

    Attributes:
        cursor: the last event of the journal that was folded into messages or needs none.
        memory: what is remembered of jobs once all of the outbox is sent.
        outbox: the messages to send, oldest first.
        alarms: what it was told of that is not in the journal.
        flaps: what is remembered of jobs that failed lately.
        reminded, digested: up to when reminders and digests were made, unix time; 0: never.
        following: the number of the next message.
        dead: the thread in which the other targets were told that this one takes nothing; empty while it does.
        unsent: messages that an earlier version was about to send.
    """

    cursor: int
    memory: grouping.IncidentState = field(default_factory=grouping.IncidentState)
    outbox: tuple[Entry, ...] = ()
    alarms: Mapping[str, Condition] = field(default_factory=dict)
    flaps: Mapping[str, Flap] = field(default_factory=dict)
    reminded: float = 0.0
    digested: float = 0.0
    following: int = 1
    dead: str = ""
    unsent: tuple[NotificationGroup, ...] = ()


def load_notes(memory: PluginStore, target: str) -> TargetState | None:
    """The notes of a target; None if there are none yet, or if they are damaged (said in the log)."""
    text = memory.get(key_of(target))
    if text is None:
        return None
    try:
        data = json.loads(text)
        incidents = {job: _incident(fields) for job, fields in data["incidents"].items()}
        held = {node: tuple(_held(fields) for fields in waiting) for node, waiting in data.get("held", {}).items()}
        return TargetState(
            cursor=int(data["cursor"]),
            memory=grouping.IncidentState(incidents, held),
            outbox=tuple(entry_of(fields) for fields in data.get("entries", ())),
            alarms={name: Condition(**fields) for name, fields in data.get("alarms", {}).items()},
            flaps={job: _flap(fields) for job, fields in data.get("flaps", {}).items()},
            reminded=float(data.get("reminded", 0.0)),
            digested=float(data.get("digested", 0.0)),
            following=int(data.get("following", 1)),
            dead=str(data.get("dead", "")),
            unsent=tuple(_telling(fields) for fields in data.get("outbox", ())),
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        _log.error("The notes of notification target '%s' are damaged; it begins anew with the next event.", target)
        return None


def notes_json(notes: TargetState) -> str:
    """The notes of a target, as they are kept under `key_of` it; those of an earlier version must be sent first."""
    data = {
        "cursor": notes.cursor,
        "incidents": {job: _fields(incident) for job, incident in notes.memory.incidents.items()},
        "held": {
            node: [[_event_fields(each.number, each.event), _fields(each.incident)] for each in waiting]
            for node, waiting in notes.memory.held.items()
        },
        "entries": [entry_json(entry) for entry in notes.outbox],
        "alarms": {name: asdict(alarm) for name, alarm in notes.alarms.items()},
        "flaps": {job: _flap_fields(flap) for job, flap in notes.flaps.items()},
        "reminded": notes.reminded,
        "digested": notes.digested,
        "following": notes.following,
        "dead": notes.dead,
    }
    return json.dumps(data)


def record_notes(target: str, entry: Entry, fate: DeliveryStatus, at: float) -> dict[str, str | None]:
    """The notes that a message's fate makes, and that it pushes out."""
    data = {"entry": entry_json(entry), "fate": str(fate), "at": at}
    return {_log_key(target, entry.number - KEPT): None, _log_key(target, entry.number): json.dumps(data)}


def find_record(memory: PluginStore, target: str, number: int) -> Record | None:
    """A message that was sent or given up, if it is still remembered."""
    text = memory.get(_log_key(target, number))
    return None if text is None else _record(target, text)


def entries_of(memory: PluginStore, target: str, notes: TargetState) -> list[Entry]:
    """All messages of a target that are remembered or on their way, in the order of their numbers."""
    records = (_record(target, text) for text in memory.items(f"sent/{target}/").values())
    known = {record.entry.number: record.entry for record in records if record is not None}
    known |= {entry.number: entry for entry in notes.outbox}
    return [known[number] for number in sorted(known)]


def load_log(memory: PluginStore) -> list[Record]:
    """All messages that are remembered, newest first; damaged ones are left out."""
    found = []
    for key, text in memory.items("sent/").items():
        record = _record(key.split("/")[1], text)
        if record is not None:
            found.append(record)
    for key in memory.items("target/"):
        target = key.removeprefix("target/")
        notes = load_notes(memory, target)
        found += [Record(target, entry, DeliveryStatus.PENDING, None) for entry in (notes.outbox if notes else ())]
    return sorted(found, key=lambda record: (record.entry.since, record.target, record.entry.number), reverse=True)


def _record(target: str, text: str) -> Record | None:
    try:
        data = json.loads(text)
        return Record(target, entry_of(data["entry"]), DeliveryStatus(data["fate"]), float(data["at"]))
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def forget_absent_targets(memory: PluginStore, active: Iterable[str]) -> None:
    """Drop the notes of targets that are gone or switched off.

    A target that comes back after a month must not be sent the month. What was sent through it stays in the log.
    """
    names = sorted(active)
    gone = [key for key in memory.items("target/") if key.removeprefix("target/") not in names]
    memory.put_all({**dict.fromkeys(gone), _TARGETS: None})


class Counters:
    """How many messages each target took, attempts failed and messages were given up; kept over restarts."""

    def __init__(self, memory: PluginStore, targets: Iterable[str]) -> None:
        before = _load_json(memory, COUNTERS)
        known = before if isinstance(before, dict) else {}
        self._counts = {name: _counts(known.get(name)) for name in targets}
        memory.put_all(self.notes())

    def add(self, target: str, outcome: str) -> dict[str, str | None]:
        """Count one of `OUTCOMES`; the notes that it makes."""
        self._counts[target][outcome] += 1
        return self.notes()

    def notes(self) -> dict[str, str | None]:
        """The counters as they are kept."""
        return {COUNTERS: json.dumps(self._counts)}


def _fields(incident: Incident | None) -> list[object] | None:
    return None if incident is None else [incident.told, incident.synced, incident.node, incident.thread]


def _incident(fields: list[Any]) -> Incident:
    told, synced, *names = fields  # notes of before there were nodes' troubles, or threads, have fewer
    if any(not isinstance(moment, int | float | None) for moment in (told, synced)):
        raise ValueError(f"no times: {fields}")
    return Incident(told, synced, *map(str, names))


def _event_fields(number: int, event: RunFailed | RunSucceeded) -> list[object]:
    return [number, *to_json(event)]


def _event(fields: list[Any]) -> tuple[int, RunFailed | RunSucceeded]:
    number, kind, body = fields
    event = from_json(kind, body)
    if not isinstance(event, RunFailed | RunSucceeded):
        raise TypeError(f"nothing is told of {kind}")
    return int(number), event


def _flap_fields(flap: Flap) -> dict[str, object]:
    held = None if flap.held is None else _event_fields(*flap.held)
    return {field.name: getattr(flap, field.name) for field in fields(flap)} | {"held": held}


def _flap(data: Mapping[str, Any]) -> Flap:
    held = None if data["held"] is None else _event(data["held"])
    if held is not None and not isinstance(held[1], RunSucceeded):
        raise TypeError("only a recovery is held back")
    known: dict[str, Any] = {field.name: data[field.name] for field in fields(Flap)}
    return Flap(**known | {"begins": tuple(map(float, data["begins"])), "held": held})


def _held(data: list[Any]) -> Held:
    number, event = _event(data[0])
    if not isinstance(event, RunSucceeded):
        raise TypeError("only a recovery is held back")
    return Held(number, event, _incident(data[1]))


def _telling(data: Mapping[str, Any]) -> NotificationGroup:
    events = tuple(_event(fields) for fields in data["events"])
    incidents = {job: None if fields is None else _incident(fields) for job, fields in data["incidents"].items()}
    return NotificationGroup(events, incidents, str(data["node"]), tuple(map(str, data["along"])))


def _counts(known: object) -> dict[str, int]:
    values = known if isinstance(known, dict) else {}
    return {key: int(value) if isinstance(value := values.get(key), int) else 0 for key in OUTCOMES}


def _load_json(memory: PluginStore, key: str) -> object:
    try:
        loaded: object = json.loads(memory.get(key) or "null")
    except ValueError:
        return None
    return loaded


def key_of(target: str) -> str:
    """Where the notes of a target are kept."""
    return f"target/{target}"


def _log_key(target: str, number: int) -> str:
    return f"sent/{target}/{number:09d}"
