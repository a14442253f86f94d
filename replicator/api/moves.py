"""The moves and recoveries of a guest that this node did or does, as the status shows them."""

from __future__ import annotations

from dataclasses import dataclass

from replicator.models import GuestId


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

    guest: GuestId
    moved: int
    recovered: int
    time: float
    former: str
    node: str
    epoch: int
    downtime: float | None


@dataclass(frozen=True, slots=True)
class MovingGuest:
    """A guest of this node whose move was announced and has not ended. It may be off.

    Attributes:
        guest: its number.
        name: its name.
        to: where it goes.
        since: when the daemon first saw that (unix time).
    """

    guest: GuestId
    name: str
    to: str
    since: float
