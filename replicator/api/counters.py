"""The counters of messages that the plugin ``notify`` publishes, for any other plugin to show. Pure.

They are a note in the plugin's store: JSON ``{"<target>": {"success": n, "failure": n, "undelivered": n}}``. Writer and
readers share this definition.
"""

from __future__ import annotations

import json

PLUGIN = "notify"
"""The plugin whose store has the note."""

KEY = "counters"
"""The key of the note."""

OUTCOMES = ("success", "failure", "undelivered")
"""Attempts that succeeded and that failed, and messages that were given up."""


class MalformedCountersError(ValueError):
    """The note has another form; the text says what was found."""


def read_counters(note: str | None) -> dict[str, dict[str, int]]:
    """The counts of each target by outcome, none without a note. Raises MalformedCountersError."""
    try:
        found = json.loads(note) if note is not None else {}
    except ValueError as error:
        raise MalformedCountersError(f"The notification counters are not JSON: {error}.") from error
    if not isinstance(found, dict) or not all(_are_counts(outcomes) for outcomes in found.values()):
        raise MalformedCountersError(
            'The notification counters are not {"<target>": {"success": n, "failure": n}} with whole numbers.'
        )
    return found


def _are_counts(outcomes: object) -> bool:
    return isinstance(outcomes, dict) and all(
        isinstance(outcomes.get(outcome, 0), int) and outcomes.get(outcome, 0) >= 0 for outcome in OUTCOMES
    )
