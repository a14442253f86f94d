"""What all targets share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import TYPE_CHECKING

from alerts.delivery.store import Counters, key_of, notes_json
from alerts.notice import Notice
from replicator.api.plugin import Core, PluginStore

if TYPE_CHECKING:
    from alerts.delivery.target_worker import TargetWorker

Sleep = Callable[[float], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class DeliveryContext:
    """The core, the plugin's notes, the counters, how to wait, the zone of times, and how long to gather (seconds).

    ``deliveries`` are all targets that are at work, by name.
    """

    core: Core
    memory: PluginStore
    counters: Counters
    sleep: Sleep
    zone: tzinfo
    gather: float
    deliveries: dict[str, TargetWorker] = field(default_factory=dict)

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


async def broadcast(notice: Notice, context: DeliveryContext) -> None:
    """Put a notice into the outboxes of those that want it, all or none; durable when this returns.

    Raises:
        OSError, ZsrError: it cannot be kept now.
    """
    taken = {delivery: notes for delivery in context.deliveries.values() if (notes := delivery.accept_external(notice))}
    if taken:
        context.memory.put_all({key_of(delivery.target): notes_json(notes) for delivery, notes in taken.items()})
    for delivery, notes in taken.items():
        delivery.commit(notes)
