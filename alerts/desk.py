"""What all targets share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import TYPE_CHECKING

from alerts.notes import Counters
from replicator.plugins import Core, Memory

if TYPE_CHECKING:
    from alerts.delivery import Delivery

Sleep = Callable[[float], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Desk:
    """The core, the plugin's notes, the counters, how to wait, the zone of times, and how long to gather (seconds).

    ``deliveries`` are all targets that are at work, by name.
    """

    core: Core
    memory: Memory
    counters: Counters
    sleep: Sleep
    zone: tzinfo
    gather: float
    deliveries: dict[str, Delivery] = field(default_factory=dict)

    @property
    def now(self) -> float:
        """The core's time, unix seconds."""
        return self.core.status().time

    def read_to(self) -> str:
        """The last event of the journal that no target needs any more."""
        cursors = [delivery.cursor for delivery in self.deliveries.values()]
        known = [cursor for cursor in cursors if cursor is not None]
        # One that has not begun yet may be far behind.
        return str(min(known, default=0) if len(known) == len(cursors) else 0)
