"""A job's known snapshot sets as JSON and back, for the column ``sets`` of ``state.db``. Pure."""

from __future__ import annotations

import json

from replicator.models import KnownSets


def sets_to_text(sets: KnownSets) -> str:
    """Return a job's known sets as JSON, without the GUIDs: those are rows of their own."""
    return json.dumps({"proven": sets.proven, "volumes": sets.volumes, "taken": sets.taken, "by_name": sets.by_name})


def sets_from_text(text: str | None, last_set: float | None) -> KnownSets:
    """Return a job's known sets; a row that an older zsr wrote has no GUIDs, or only its last proven set."""
    if text is None:
        return KnownSets() if last_set is None else KnownSets(int(last_set), (), (int(last_set),), by_name=True)
    values = json.loads(text)
    return KnownSets(
        values["proven"], tuple(values["volumes"]), tuple(values["taken"]), by_name=values.get("by_name", True)
    )
