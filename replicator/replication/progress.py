"""How far a run is: the closed list of its steps, and what it writes of itself for whoever shows it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Step(StrEnum):
    """Every step of a run and of a removal, in order; faults are tried at each of their beginnings (tests/lab)."""

    LOCK = "lock"
    LOOK = "look"
    RESUME = "resume"
    SNAPSHOT = "snapshot"
    PLAN = "plan"
    ASIDE = "put aside"
    TRANSFER = "transfer"
    PROVE = "prove"
    REMEMBER = "remember"
    TIDY = "tidy"
    REMOVE_REPLICAS = "remove replicas"
    REMOVE_SNAPSHOTS = "remove snapshots"


@dataclass(slots=True)
class Progress:
    """How far a run is; written by the run, read by whoever shows it. Sizes are bytes."""

    step: Step = Step.LOCK
    done_bytes: int = 0
    expected_bytes: int | None = None
    transferring: bool = False
    sent_bytes: int = 0

    async def begin(self, step: Step) -> None:
        """The next step begins now; a step may begin several times, once for each volume."""
        self.step = step
