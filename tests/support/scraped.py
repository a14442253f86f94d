"""The series of a status of the core, as a scraper reads them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from exporter.collectors import ScrapeInput, collect
from exporter.exposition import Format, render
from replicator.api.status import Status

Series = tuple[str, frozenset[tuple[str, str]]]
"""A metric's name and labels."""


def samples(picture: Status, counters: str | Exception | None = None, usable: str | None = None) -> Iterator[Sample]:
    """The samples of a scrape, read back by prometheus_client's parser, with their labels in order."""
    body = render(collect(ScrapeInput(picture, counters, usable)), Format.TEXT).decode()
    for family in text_string_to_metric_families(body):
        yield from family.samples


def scrape(picture: Status, counters: str | None = None, usable: str | None = None) -> dict[Series, float]:
    """All series of a scrape."""
    found = samples(picture, counters, usable)
    return {(sample.name, frozenset(sample.labels.items())): sample.value for sample in found}


def value(found: Mapping[Series, float], name: str, **labels: str) -> float | None:
    """The value of one series of a scrape; None: it has none."""
    return found.get((name, frozenset(labels.items())))


def of_job(found: Iterable[Series], job: str) -> list[Series]:
    """The series of a job."""
    return [series for series in found if ("zsr_job", job) in series[1]]
