"""Progress of a run: the closed list of its steps, its bytes, its log lines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

Log = Callable[[str, str], None]
"""Writes one line of the run's log: level (info, warning, error, raw, or `UNTIDY`) and text."""

UNTIDY = "untidy"
"""The level of a warning that something which is to go could not be destroyed; the next run does it again."""


class Step(StrEnum):
    """All steps of a run, a reseed and a removal, in order; tests/lab injects faults at the beginning of each."""

    LOCK = "lock"
    LOOK = "look"
    RESUME = "resume"
    SNAPSHOT = "snapshot"
    PLAN = "plan"
    ASIDE = "put aside"
    TRANSFER = "transfer"
    PROVE = "prove"
    SWAP = "swap"
    REMEMBER = "remember"
    TIDY = "tidy"
    REMOVE_REPLICAS = "remove replicas"
    REMOVE_SNAPSHOTS = "remove snapshots"


@dataclass(slots=True)
class Progress:
    """How far a run is; the run writes it, the daemon reads it for its status. Sizes are bytes."""

    step: Step = Step.LOCK
    done_bytes: int = 0
    expected_bytes: int | None = None
    transferring: bool = False
    sent_bytes: int = 0

    async def begin(self, step: Step) -> None:
        """Set the step that begins now; a step may begin several times, once for each volume."""
        self.step = step
