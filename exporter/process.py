"""The standard ``process_*`` metrics of this very process, read from /proc by prometheus_client."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import ProcessCollector

from exporter.families import Family
from exporter.metric import Kind, Metric


def process_families() -> Iterator[Family]:
    """CPU seconds, memory, open files and start time of the daemon; nothing where there is no /proc."""
    for found in ProcessCollector(registry=None).collect():
        for sample in found.samples:
            metric = Metric(sample.name, Kind(found.type), (), found.documentation, sample.name)
            yield Family(metric, [((), sample.value)])
