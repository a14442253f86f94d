"""The lines of nodes (``nodes.NAME.rate``): all streams of this daemon over one share its limit, whatever their job."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from functools import partial

from replicator.hosts.pump import Line
from replicator.models import Node
from replicator.schedule.rates import RateRule, parse_rates, rate_at


@dataclass
class Lines:
    """One line for each node, with the rules that the cluster had last. ``clock``: unix time; ``zone``: of hours."""

    clock: Callable[[], float]
    zone: tzinfo
    _rules: dict[str, tuple[RateRule, ...]] = field(default_factory=dict)
    _lines: dict[str, Line] = field(default_factory=dict)

    def of(self, nodes: Mapping[str, Node], *names: str) -> tuple[Line, ...]:
        """Return the lines over which a stream between some nodes goes; a change of rules counts for all at once."""
        self._rules.update({name: parse_rates(node.rate) for name, node in nodes.items()})
        for name in names:
            if name not in self._lines:
                self._lines[name] = Line(partial(self._rate, name), time.monotonic())
        return tuple(self._lines[name] for name in names)

    def _rate(self, name: str) -> float | None:
        return rate_at(self._rules.get(name, ()), datetime.fromtimestamp(self.clock(), self.zone))
