"""A job's known snapshot sets, and the place of its target, as JSON and back, for columns of ``state.db``. Pure."""

from __future__ import annotations

import json

from replicator.models import KnownSets, TargetPlace, TargetStorage


def sets_to_text(sets: KnownSets) -> str:
    """Return a job's known sets as JSON, without the GUIDs of what it sent: those are rows of their own."""
    values = {"proven": sets.proven, "volumes": sets.volumes, "taken": sets.taken, "elsewhere": sets.elsewhere}
    waiting = {"gone": [list(each) for each in sets.gone], "asides": [list(each) for each in sets.asides]}
    return json.dumps({**values, "by_name": sets.by_name, "inherited": sorted(sets.inherited), **waiting})


def sets_from_text(text: str | None, last_set: float | None) -> KnownSets:
    """Return a job's known sets; a row that an older zsr wrote has no GUIDs, or only its last proven set."""
    if text is None:
        return KnownSets() if last_set is None else KnownSets(int(last_set), (), (int(last_set),), by_name=True)
    values = json.loads(text)
    return KnownSets(
        values["proven"],
        tuple(values["volumes"]),
        tuple(values["taken"]),
        by_name=values.get("by_name", True),
        elsewhere=values.get("elsewhere"),
        inherited=frozenset(values.get("inherited", ())),
        gone=tuple((guid, seen, waited) for guid, seen, waited in values.get("gone", ())),
        asides=tuple((guid, seen, waited) for guid, seen, waited in values.get("asides", ())),
    )


def place_to_text(place: TargetPlace | None) -> str | None:
    """Return the place of a job's target as JSON; None where it is not known."""
    if place is None:
        return None
    storages = [[each.storage, each.path, each.guid] for each in place.storages]
    return json.dumps({"node": place.node, "address": place.address, "storages": storages, "held": place.held})


def place_from_text(text: str | None) -> TargetPlace | None:
    """Return the place of a job's target; a row that an older zsr wrote has none."""
    if text is None:
        return None
    values = json.loads(text)
    storages = tuple(TargetStorage(*each) for each in values["storages"])
    return TargetPlace(values["node"], values["address"], storages, values["held"])
