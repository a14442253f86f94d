"""What the plugin ``notify`` publishes of its targets, for any other plugin to show. Pure.

The counters of messages are a note in the plugin's store: JSON
``{"<target>": {"success": n, "failure": n, "undelivered": n}}``. Another note says whether each target is used at all:
``{"<target>": true}``. Writer and readers share these definitions.
"""

from __future__ import annotations

import json

PLUGIN = "notify"
"""The plugin whose store has the note."""

KEY = "counters"
"""The key of the note."""

USABLE_KEY = "usable"
"""The key of the note of which targets are used."""

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


def read_usable(note: str | None) -> dict[str, bool]:
    """Whether each target is used; none without a note. Raises MalformedCountersError."""
    try:
        found = json.loads(note) if note is not None else {}
    except ValueError as error:
        raise MalformedCountersError(f"The note of usable notification targets is not JSON: {error}.") from error
    if not isinstance(found, dict):
        raise MalformedCountersError("The note of usable notification targets is not a table.")
    return {str(target): bool(usable) for target, usable in found.items()}
