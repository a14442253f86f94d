"""The definition of a metric: its name, type, labels, meaning, and an example of its use."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """The type of a metric family, in the words of OpenMetrics."""

    GAUGE = "gauge"
    COUNTER = "counter"
    INFO = "info"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric family.

    Attributes:
        name: as it is asked for in PromQL, so with ``_total`` or ``_info``; a histogram's without ``_bucket``.
        labels: their names, in the order in which the samples give the values; ``le`` is not among them.
        help: one line for the HELP comment.
        example: a PromQL expression that shows what the metric is for.
        absent: when there is no series, if that can be.
    """

    name: str
    kind: Kind
    labels: tuple[str, ...]
    help: str
    example: str
    absent: str = ""

    @property
    def family(self) -> str:
        """The name of the family in OpenMetrics, which leaves out ``_total`` and ``_info``."""
        return self.name.removesuffix("_total").removesuffix("_info")

    @property
    def unit(self) -> str:
        """The base unit that ends the family's name, or nothing."""
        return next((unit for unit in ("seconds", "bytes") if self.family.endswith(f"_{unit}")), "")
