"""What all target workers use: the core, the plugin's store, the counters, the clock and the timezone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import tzinfo

from alerts.delivery.store import Counters
from replicator.api.plugin import Core, PluginStore

Clock = Callable[[], float]
"""Returns the unix time."""
Sleep = Callable[[float], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class DeliveryContext:
    """Dependencies shared by all target workers.

    Attributes:
        node: the name of this node.
        zone: the timezone of reminders, digests and quiet hours.
        group_wait: seconds after a failure in which others with the same cause join the same message.
    """

    core: Core
    node: str
    store: PluginStore
    counters: Counters
    clock: Clock
    sleep: Sleep
    zone: tzinfo
    group_wait: float

    @property
    def now(self) -> float:
        """Unix time."""
        return self.clock()
