"""A guest that was moved, for tests of what the status shows."""

from __future__ import annotations

from replicator.api.moves import GuestMoves, MovingGuest
from tests.support.statuses import NOW

MOVED = GuestMoves(100, 3, 1, NOW - 60, "alpha", "beta", 5, 6.5)
MOVING = MovingGuest(100, "web", "beta", NOW - 30)
