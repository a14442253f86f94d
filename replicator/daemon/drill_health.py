"""The findings of `zsr check` about drills, by the same limits as ZsrDrillFailed and ZsrDrillOverdue. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from replicator.common.durations import words
from replicator.daemon.health_check import HealthFinding, HealthLevel
from replicator.display import shortened
from replicator.models import GuestId

CLONES_SECONDS = 86400.0
"""Seconds after the begin of a drill from which on clones that are still there are a warning."""
LONGEST_REASON = 300
"""Characters of a drill's message that a finding quotes."""


def drill_findings(
    drills: Iterable[Mapping[str, Any]], now: float, guest: GuestId | None = None
) -> Iterator[HealthFinding]:
    """Yield the findings about drills that failed, or that are overdue, of one guest or of all.

    Args:
        drills: as `replicator.daemon.status_json.drill_json` makes them.
        now: unix time.
        guest: only this one.
    """
    for each in drills:
        if guest not in (None, each["guest"]):
            continue
        name = f"guest {each['guest']} ({each['guest_name']}) on {each['node']}"
        if each["result"] == "failed":
            ago, why = words(max(0.0, now - each["time"])), shortened(each["message"].rstrip("."), LONGEST_REASON)
            text = f"{name}: the last drill failed {ago} ago: {why}"
            yield HealthFinding(HealthLevel.WARNING, text)
        if each["clones_since"] is not None and now - each["clones_since"] > CLONES_SECONDS:
            since = words(now - each["clones_since"])
            text = f"{name}: clones of a drill may be left, since {since}; see who has them open there"
            yield HealthFinding(HealthLevel.WARNING, text)
        if each["overdue"]:
            since = words(max(0.0, now - each["awaited_since"]))
            last = "no drill has passed yet, awaited" if each["last_pass"] is None else "no drill has passed"
            why = "" if each["obstacle"] is None else f": {shortened(each['obstacle'].rstrip('.'), LONGEST_REASON)}"
            yield HealthFinding(
                HealthLevel.WARNING, f"{name}: {last} for {since}{why}; zsr guest drill {each['guest']}"
            )
