"""The two text formats against the official parsers and writer, and the choice between them."""

from __future__ import annotations

import gzip
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import exposition as official_text
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric as OfficialFamily
from prometheus_client.openmetrics import exposition as official_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from exporter.collectors import ScrapeInput, collect
from exporter.exposition import Format, accepts_gzip, choose_format, render
from exporter.families import Family
from exporter.metric import Kind, Metric
from tests.support.statuses import every_state, status

PROMETHEUS_2_42 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"

GAUGE = Metric("zsr_test_bytes", Kind.GAUGE, ("name", "zsr_job"), 'Help with "quotes" and \\.', "zsr_test_bytes")
COUNTER = Metric("zsr_test_runs_total", Kind.COUNTER, ("name", "zsr_job"), "Runs.", "zsr_test_runs_total")
INFO = Metric("zsr_test_info", Kind.INFO, ("name", "zsr_job"), "Words.", "zsr_test_info")

texts = st.text(st.characters(codec="utf-8", exclude_characters="\r"))
"""A lone carriage return is legal in both formats, but the official parsers split lines at it."""


class Official:
    """What prometheus_client's writers read from."""

    def __init__(self, *families: OfficialFamily) -> None:
        self.families = families

    def collect(self) -> tuple[OfficialFamily, ...]:
        return self.families


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("", Format.TEXT),
        ("*/*", Format.TEXT),
        (BROWSER, Format.TEXT),
        ("application/json", Format.TEXT),
        ("text/plain", Format.TEXT),
        (PROMETHEUS_2_42, Format.OPENMETRICS),
        (PROMETHEUS_3, Format.OPENMETRICS),
        ("application/openmetrics-text", Format.OPENMETRICS),
        ("Application/OpenMetrics-Text; Version=1.0.0", Format.OPENMETRICS),
        ("application/openmetrics-text;version=2.0.0", Format.TEXT),
        ("application/openmetrics-text;version=0.0.1", Format.TEXT),
        ("application/openmetrics-text;version=1.0.0;q=0", Format.TEXT),
        ("application/openmetrics-text;version=1.0.0;q=0.2,text/plain;version=0.0.4;q=0.9", Format.TEXT),
        ("application/openmetrics-text;q=rubbish", Format.TEXT),
        (";;,,=;q", Format.TEXT),
    ],
)
def test_the_format_that_is_liked_best_is_chosen(accept: str, chosen: Format) -> None:
    assert choose_format(accept) is chosen


@given(st.text())
def test_no_accept_header_breaks_the_choice(header: str) -> None:
    assert choose_format(header) in Format
    assert accepts_gzip(header) in (True, False)


@pytest.mark.parametrize(
    ("header", "allowed"),
    [
        ("gzip", True),
        ("deflate, GZIP;q=0.5", True),
        ("*", True),
        ("", False),
        ("deflate, br", False),
        ("gzip;q=0", False),
        ("*, gzip;q=0", False),
        ("identity", False),
    ],
)
def test_gzip_is_sent_only_to_who_asks(header: str, allowed: bool) -> None:
    assert accepts_gzip(header) is allowed


def test_gzip_says_the_same() -> None:
    families = [Family(GAUGE, [(("web", "100-0"), 1)])]
    assert gzip.decompress(render(families, Format.TEXT, compress=True)) == render(families, Format.TEXT)


@given(st.lists(st.tuples(texts, texts, st.floats(allow_nan=False) | st.integers(0, 2**53)), unique_by=lambda s: s[:2]))
def test_both_formats_say_what_the_official_writer_says(found: list[tuple[str, str, float]]) -> None:
    families = [
        Family(metric, [((name, job), value if metric is not INFO else 1) for job, name, value in found])
        for metric in (GAUGE, COUNTER, INFO)
    ]
    gauge = GaugeMetricFamily(GAUGE.name, GAUGE.help, labels=GAUGE.labels, unit="bytes")
    counter = CounterMetricFamily(COUNTER.name, COUNTER.help, labels=COUNTER.labels)
    info = InfoMetricFamily(INFO.family, INFO.help, labels=INFO.labels)
    for job, name, value in found:
        gauge.add_metric((name, job), value)
        counter.add_metric((name, job), value)
        info.add_metric((name, job), {})
    official = Official(gauge, counter, info)

    text = official_text.generate_latest(official).decode()
    openmetrics = official_openmetrics.generate_latest(official).decode()  # type: ignore[no-untyped-call]

    assert _meaning(render(families, Format.TEXT).decode()) == _meaning(text)
    assert _meaning(render(families, Format.OPENMETRICS).decode()) == _meaning(openmetrics)


def _meaning(body: str) -> list[str]:
    """The lines with each number in one way of writing; labels, comments and order must be the very same."""
    lines = []
    for line in body.split("\n"):
        head, _, number = line.rpartition(" ")
        lines.append(line if line.startswith("#") or not head else f"{head} {float(number)}")
    return lines


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (1, "1"),
        (True, "1"),
        (0.5, "0.5"),
        (math.inf, "+Inf"),
        (-math.inf, "-Inf"),
        (math.nan, "NaN"),
        (2**60, str(2**60)),
    ],
)
def test_numbers_are_written_as_both_formats_want_them(value: float, written: str) -> None:
    metric = Metric("zsr_test", Kind.GAUGE, (), "Help.", "zsr_test")
    assert render([Family(metric, [((), value)])], Format.TEXT).decode().splitlines()[-1] == f"zsr_test {written}"


def test_a_lone_surrogate_does_not_break_the_scrape() -> None:
    assert b'name="?"' in render([Family(GAUGE, [(("\udcff", "100-0"), 1)])], Format.TEXT)


def test_the_official_parsers_read_every_state() -> None:
    families = collect(ScrapeInput(status(*every_state()), '{"mail": {"success": 1, "failure": 0}}'))
    text = list(read_text(render(families, Format.TEXT).decode()))
    body = render(families, Format.OPENMETRICS).decode()
    openmetrics = list(read_openmetrics(body))  # type: ignore[no-untyped-call]

    assert len(text) == len(openmetrics) == len(families)
    assert {family.name: family.unit for family in openmetrics}["zsr_job_last_sync_timestamp_seconds"] == "seconds"
    assert {family.name: family.type for family in openmetrics}["zsr_job"] == "info"
