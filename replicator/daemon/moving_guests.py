"""The guests of this node that are being moved: a move that died leaves its guest off, and no command says so."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from replicator.api.moves import MovingGuest
from replicator.cluster.model import Cluster
from replicator.common.durations import words
from replicator.daemon.health_check import HealthFinding, HealthLevel
from replicator.models import GuestId

MOVE_SECONDS = 900.0
"""Seconds from the announcement of a move, right before its guest stops, after which it should have ended long ago."""


def moving_guests(cluster: Cluster, node: str, before: Iterable[MovingGuest], now: float) -> tuple[MovingGuest, ...]:
    """Return the guests of a node that are being moved; those that were so ``before`` keep their time. Pure."""
    since = {(each.guest, each.to): each.since for each in before}
    return tuple(
        MovingGuest(guest.id, guest.name, guest.moving_to, since.get((guest.id, guest.moving_to), now))
        for guest in sorted(cluster.guests.values(), key=lambda each: each.id)
        if guest.node == node and guest.moving_to is not None
    )


def moving_findings(
    moving: Iterable[Mapping[str, Any]], now: float, guest: GuestId | None = None
) -> Iterator[HealthFinding]:
    """Yield the findings of `zsr check` about moves that take too long, by the same limit as ZsrMoveUnfinished. Pure.

    Args:
        moving: as `replicator.daemon.status_json` makes them.
        now: unix time.
        guest: only this one.
    """
    for each in moving:
        if guest in (None, each["guest"]) and (lasted := now - each["since"]) > MOVE_SECONDS:
            yield HealthFinding(
                HealthLevel.CRITICAL,
                f"guest {each['guest']} ({each['name']}) is being moved to {each['to']} for {words(lasted)}, and may "
                f"be off; zsr guest move {each['guest']} {each['to']} finishes it, with --cancel it stays here",
            )
