"""Encode events as JSON and decode them, for the journal in ``state.db``. Pure; unknown fields are ignored."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any, get_args

from replicator.errors import ErrorClass
from replicator.events import Event
from replicator.models import DrillResult, JobId

KINDS: dict[str, type[Event]] = {kind.__name__: kind for kind in get_args(Event)}


def to_json(event: Event) -> tuple[str, str]:
    """Return an event's kind and its fields as JSON."""
    values = {field.name: _plain(getattr(event, field.name)) for field in fields(event)}
    return type(event).__name__, json.dumps(values)


def from_json(kind: str, text: str) -> Event:
    """Return the event of one of the known `KINDS`; fields that this version does not know are ignored."""
    known = KINDS[kind]
    values: dict[str, Any] = json.loads(text)
    names = {field.name for field in fields(known)}
    kept = {name: value for name, value in values.items() if name in names}
    kept["job"] = JobId.from_text(kept["job"])
    if "error_class" in kept:
        kept["error_class"] = ErrorClass(kept["error_class"])
    if "result" in kept:
        kept["result"] = DrillResult(kept["result"])
    if "volumes" in kept:
        kept["volumes"] = tuple(map(str, kept["volumes"]))
    return known(**kept)


def _plain(value: object) -> object:
    return str(value) if isinstance(value, JobId | ErrorClass) else value
