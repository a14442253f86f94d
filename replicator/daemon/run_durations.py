"""Histograms of how long finished runs took, by outcome, since this process began."""

from __future__ import annotations

from bisect import bisect_left

from replicator.api.status import RunHistogram
from replicator.models import Outcome

_BOUNDS = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 86400.0, float("inf"))
"""Upper bounds of the buckets, in seconds."""


class RunDurations:
    """Counts finished runs."""

    def __init__(self) -> None:
        self._counts = {outcome: [0] * len(_BOUNDS) for outcome in Outcome}
        self._sums = dict.fromkeys(Outcome, 0.0)

    def observe(self, outcome: Outcome, seconds: float) -> None:
        """Count one finished run."""
        self._counts[outcome][bisect_left(_BOUNDS, seconds)] += 1
        self._sums[outcome] += seconds

    def histograms(self) -> dict[str, RunHistogram]:
        """Return the histograms as they are now, with cumulative counts."""
        return {str(outcome): self._histogram(outcome) for outcome in Outcome}

    def _histogram(self, outcome: Outcome) -> RunHistogram:
        total = 0
        buckets = []
        for bound, count in zip(_BOUNDS, self._counts[outcome], strict=True):
            total += count
            buckets.append((bound, total))
        return RunHistogram(tuple(buckets), self._sums[outcome], total)
