"""The moves and recoveries of a guest that this node did, as the status shows them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GuestMoves:
    """How often a guest was moved from this node, or recovered on it.

    Attributes:
        guest: its number.
        moved, recovered: how often.
        time: when the last time was (unix time).
        former, node: from where and to where that was.
        epoch: the guest's since then.
        downtime: how many seconds the guest was off then; None: not known.
    """

    guest: int
    moved: int
    recovered: int
    time: float
    former: str
    node: str
    epoch: int
    downtime: float | None
