"""Metric families with their samples: the content of one scrape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from exporter.metric import Metric
from replicator.api.status import RunHistogram

Sample = tuple[tuple[str, ...], float]
"""The values of the labels, in the order of the metric's label names, and the value."""


@dataclass(frozen=True, slots=True)
class Family:
    """A gauge, counter or info with its samples; none means: the metric is announced and has no series."""

    metric: Metric
    samples: Sequence[Sample]


@dataclass(frozen=True, slots=True)
class HistogramFamily:
    """A histogram with one set of buckets for each combination of label values."""

    metric: Metric
    points: Sequence[tuple[tuple[str, ...], RunHistogram]]


@dataclass(frozen=True, slots=True)
class LineFamily:
    """A gauge, counter or info whose samples are written already, the same for both formats; each ends its line."""

    metric: Metric
    lines: Sequence[str]


AnyFamily = Family | HistogramFamily | LineFamily


def known_time(moment: float | None) -> float | None:
    """A time, or None for an unknown one; a zero would be read as 1970."""
    return moment if moment else None
