"""What a notice has of a message of another program."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Foreign:
    """A message of another program, here Alertmanager: title, text, and labels for routes to match."""

    title: str
    text: str
    labels: tuple[tuple[str, str], ...] = ()
