"""The plugin's data in ``state.db``: the state of each target, the log of its messages, and the counters.

A target's state is one value: that a batch of events became messages, or that one of them was sent, is one write, which
a crash cannot split. The result of a message has a key of its own, in the same write.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from enum import StrEnum
from typing import Any

from alerts.delivery.outbox import Entry, entry_json, entry_of
from alerts.grouping.conditions import Condition, Conditions
from alerts.grouping.flapping import Flap, Flaps
from alerts.grouping.grouping import Held, Incident, IncidentState, NotificationGroup
from replicator.api import counters
from replicator.api.doctor import Notes
from replicator.api.event_codec import from_json, to_json
from replicator.api.plugin import PluginStore
from replicator.errors import ConfigError
from replicator.events import RunFailed, RunSucceeded

COUNTERS, OUTCOMES = counters.KEY, counters.OUTCOMES
KEPT = 200
"""Messages of a target that stay in the log after they were sent or given up."""
RESEND = "resend/"
"""Keys that begin with this and continue like ``mail-17`` request that a message is sent again."""

Writes = dict[str, str | None]
"""Values to write, by key; None removes the key."""

_TARGETS = "targets"
_log = logging.getLogger("zsr.alerts")


class DeliveryStatus(StrEnum):
    """The result of a message."""

    PENDING = "pending"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"


@dataclass(frozen=True, slots=True)
class Record:
    """A message in the log. ``at``: when it was delivered or given up, unix time; None while it is pending."""

    target: str
    entry: Entry
    status: DeliveryStatus
    at: float | None

    @property
    def name(self) -> str:
        """Its ID for ``zsr notify resend``."""
        return f"{self.target}-{self.entry.number}"


@dataclass(frozen=True, slots=True)
class TargetState:
    """The durable state of one target.

    Attributes:
        cursor: the last event of the journal that was processed.
        incident_state: the jobs that fail, as they are once all of the outbox is sent.
        outbox: the messages to send, oldest first.
        conditions: what lasts and was seen in the core's status, and lost replicas.
        flaps: the jobs that failed lately.
        reminded, digested, beaten: up to when reminders, digests and heartbeats were made, unix time; 0: never.
        next_number: the number of the next message.
        outage_thread: the thread in which the other targets were notified that this one takes no messages; empty while
            it takes them.
        unsent: messages that an earlier version was about to send.
    """

    cursor: int
    incident_state: IncidentState = field(default_factory=IncidentState)
    outbox: tuple[Entry, ...] = ()
    conditions: Conditions = field(default_factory=dict)
    flaps: Flaps = field(default_factory=dict)
    reminded: float = 0.0
    digested: float = 0.0
    next_number: int = 1
    outage_thread: str = ""
    unsent: tuple[NotificationGroup, ...] = ()
    beaten: float = 0.0

    def enqueue(self, entry: Entry) -> TargetState:
        """The state with an entry, which has the next number, at the end of the outbox."""
        return replace(self, outbox=(*self.outbox, entry), next_number=self.next_number + 1)

    def without(self, entry: Entry) -> TargetState:
        """The state without an entry, by its number."""
        return replace(self, outbox=tuple(each for each in self.outbox if each.number != entry.number))

    def with_retry(self, entry: Entry) -> TargetState:
        """The state with an entry in place of that with its number."""
        return replace(self, outbox=tuple(entry if each.number == entry.number else each for each in self.outbox))


def load_state(store: Notes, target: str) -> TargetState | None:
    """The state of a target; None if there is none yet, or if it is damaged (which is logged)."""
    text = store.get(key_of(target))
    if text is None:
        return None
    try:
        data = json.loads(text)
        incidents = {job: _incident(fields) for job, fields in data["incidents"].items()}
        held = {node: tuple(_held(fields) for fields in waiting) for node, waiting in data.get("held", {}).items()}
        return TargetState(
            cursor=int(data["cursor"]),
            incident_state=IncidentState(incidents, held),
            outbox=tuple(entry_of(fields) for fields in data.get("entries", ())),
            conditions={name: _condition(fields) for name, fields in data.get("alarms", {}).items()},
            flaps={job: _flap(fields) for job, fields in data.get("flaps", {}).items()},
            reminded=float(data.get("reminded", 0.0)),
            digested=float(data.get("digested", 0.0)),
            beaten=float(data.get("beaten", 0.0)),
            next_number=int(data.get("following", 1)),
            outage_thread=str(data.get("dead", "")),
            unsent=tuple(_group(fields) for fields in data.get("outbox", ())),
        )
    except (ValueError, TypeError, KeyError, AttributeError, ConfigError):
        _log.error("The state of notification target '%s' is damaged; it starts again at the journal's end.", target)
        return None


def state_json(state: TargetState) -> str:
    """The state of a target as it is stored under its `key_of`; ``unsent`` is not stored."""
    data = {
        "cursor": state.cursor,
        "incidents": {job: _fields(incident) for job, incident in state.incident_state.incidents.items()},
        "held": {
            node: [[_event_fields(each.number, each.event), _fields(each.incident)] for each in waiting]
            for node, waiting in state.incident_state.held.items()
        },
        "entries": [entry_json(entry) for entry in state.outbox],
        "alarms": {name: _condition_fields(condition) for name, condition in state.conditions.items()},
        "flaps": {job: _flap_fields(flap) for job, flap in state.flaps.items()},
        "reminded": state.reminded,
        "digested": state.digested,
        "beaten": state.beaten,
        "following": state.next_number,
        "dead": state.outage_thread,
    }
    return json.dumps(data)


def record_writes(target: str, entry: Entry, status: DeliveryStatus, at: float) -> Writes:
    """The writes that put a message's result into the log, and remove the oldest one."""
    data = {"entry": entry_json(entry), "fate": str(status), "at": at}
    return {_log_key(target, entry.number - KEPT): None, _log_key(target, entry.number): json.dumps(data)}


def first_number(store: PluginStore, target: str) -> int:
    """The number of the first message of a target without a state: the one after the last in its log."""
    logged = list(store.items(f"sent/{target}/"))
    return int(logged[-1].rpartition("/")[2]) + 1 if logged else 1


def find_record(store: PluginStore, target: str, number: int) -> Record | None:
    """A message that was sent or given up, if it is still in the log."""
    text = store.get(_log_key(target, number))
    return None if text is None else _record(target, text)


def entries_of(store: PluginStore, target: str, state: TargetState) -> list[Entry]:
    """All messages of a target in the log and in its outbox, by number."""
    records = (_record(target, text) for text in store.items(f"sent/{target}/").values())
    known = {record.entry.number: record.entry for record in records if record is not None}
    known |= {entry.number: entry for entry in state.outbox}
    return [known[number] for number in sorted(known)]


def load_log(store: Notes) -> list[Record]:
    """All messages in the log, newest first; damaged ones are left out."""
    found = []
    for key, text in store.items("sent/").items():
        record = _record(key.split("/")[1], text)
        if record is not None:
            found.append(record)
    for key in store.items("target/"):
        target = key.removeprefix("target/")
        state = load_state(store, target)
        found += [Record(target, entry, DeliveryStatus.PENDING, None) for entry in (state.outbox if state else ())]
    return sorted(found, key=lambda record: (record.entry.since, record.target, record.entry.number), reverse=True)


def _record(target: str, text: str) -> Record | None:
    try:
        data = json.loads(text)
        return Record(target, entry_of(data["entry"]), DeliveryStatus(data["fate"]), float(data["at"]))
    except (ValueError, TypeError, KeyError, AttributeError, ConfigError):
        return None


def forget_absent_targets(store: PluginStore, active: Iterable[str]) -> None:
    """Remove the state of targets that are gone or disabled; their messages stay in the log.

    A target that comes back after a month must not get the messages of that month.
    """
    names = sorted(active)
    gone = [key for key in store.items("target/") if key.removeprefix("target/") not in names]
    store.put_all({**dict.fromkeys(gone), _TARGETS: None})


class Counters:
    """Attempts that succeeded and failed, and messages that were given up, by target; kept over restarts."""

    def __init__(self, store: PluginStore, targets: Iterable[str]) -> None:
        loaded = _load_json(store, COUNTERS)
        known = loaded if isinstance(loaded, dict) else {}
        self._counts = {name: _counts(known.get(name)) for name in targets}
        store.put_all(self.writes())

    def add(self, target: str, outcome: str) -> Writes:
        """Count one of `OUTCOMES`; returns what has to be written."""
        self._counts[target][outcome] += 1
        return self.writes()

    def writes(self) -> Writes:
        """The counters as they are stored."""
        return {COUNTERS: json.dumps(self._counts)}


def _fields(incident: Incident | None) -> list[object] | None:
    if incident is None:
        return None
    return [incident.reported, incident.synced, incident.node, incident.thread, incident.step]


def _incident(fields: list[Any]) -> Incident:
    reported, synced, *later = fields
    if any(not isinstance(moment, int | float | None) for moment in (reported, synced)):
        raise ValueError(f"no times: {fields}")
    later += ("", "", 0)[len(later) :]  # earlier versions wrote fewer
    return Incident(reported, synced, str(later[0]), str(later[1]), int(later[2]))


def _condition_fields(condition: Condition) -> dict[str, object]:
    fields = asdict(condition)
    if not condition.text:  # most have none
        del fields["text"]
    if condition.mentioned is None:
        del fields["mentioned"]
    return _renamed(fields, reported="told")


def _condition(data: Mapping[str, Any]) -> Condition:
    return Condition(**_renamed(data, told="reported"))


def _renamed(data: Mapping[str, Any], **names: str) -> dict[str, Any]:
    """The values under new keys: ``state.db`` keeps the names that its first version had."""
    return {names.get(key, key): value for key, value in data.items()}


def _event_fields(number: int, event: RunFailed | RunSucceeded) -> list[object]:
    return [number, *to_json(event)]


def _event(fields: list[Any]) -> tuple[int, RunFailed | RunSucceeded]:
    number, kind, body = fields
    event = from_json(kind, body)
    if not isinstance(event, RunFailed | RunSucceeded):
        raise TypeError(f"{kind} is not reported")
    return int(number), event


def _flap_fields(flap: Flap) -> dict[str, object]:
    held = None if flap.held is None else _event_fields(*flap.held)
    known = {field.name: getattr(flap, field.name) for field in fields(flap)}
    return _renamed(known, reported="told") | {"held": held}


def _flap(data: Mapping[str, Any]) -> Flap:
    held = None if data["held"] is None else _event(data["held"])
    if held is not None and not isinstance(held[1], RunSucceeded):
        raise TypeError("only a recovery is held back")
    data = _renamed(data, told="reported")
    known: dict[str, Any] = {field.name: data[field.name] for field in fields(Flap)}
    return Flap(**known | {"begins": tuple(map(float, data["begins"])), "held": held})


def _held(data: list[Any]) -> Held:
    number, event = _event(data[0])
    if not isinstance(event, RunSucceeded):
        raise TypeError("only a recovery is held back")
    return Held(number, event, _incident(data[1]))


def _group(data: Mapping[str, Any]) -> NotificationGroup:
    events = tuple(_event(fields) for fields in data["events"])
    incidents = {job: None if fields is None else _incident(fields) for job, fields in data["incidents"].items()}
    return NotificationGroup(events, incidents, str(data["node"]), tuple(map(str, data["along"])))


def _counts(known: object) -> dict[str, int]:
    values = known if isinstance(known, dict) else {}
    return {key: int(value) if isinstance(value := values.get(key), int) else 0 for key in OUTCOMES}


def _load_json(store: PluginStore, key: str) -> object:
    try:
        loaded: object = json.loads(store.get(key) or "null")
    except ValueError:
        return None
    return loaded


def key_of(target: str) -> str:
    """The key of a target's state."""
    return f"target/{target}"


def _log_key(target: str, number: int) -> str:
    return f"sent/{target}/{number:09d}"
