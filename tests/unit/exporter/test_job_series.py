"""The lines of jobs that are cached between scrapes: they make a scrape cheaper and never change it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter import job_series
from exporter.catalogue import CATALOGUE
from exporter.collectors import ScrapeInput, collect
from exporter.exposition import Format, render
from exporter.job_series import METRICS, JobLines
from replicator.api.job_status import JobStatus
from tests.support.statuses import disabled, every_state, failing, healthy, many, never_ran, removing, status, syncing

NAMES = ("100-0", "100-1", "101-0")
BUILDERS = (healthy, syncing, failing, never_ran, disabled, removing)

jobs = st.builds(lambda name, build: build(name), st.sampled_from(NAMES), st.sampled_from(BUILDERS))
pictures = st.lists(jobs, unique_by=lambda job: job.job.id, max_size=3).map(tuple)


def lines(picture: tuple[JobStatus, ...], kept: JobLines) -> list[str]:
    """The lines of a scrape, without those of the scrape itself and of this process."""
    body = render(collect(ScrapeInput(status(*picture)), kept), Format.OPENMETRICS).decode()
    return [line for line in body.splitlines() if not line.startswith(("process_", "zsr_collector_duration"))]


@given(st.lists(pictures, max_size=6))
def test_a_scrape_is_the_same_whatever_was_scraped_before(history: list[tuple[JobStatus, ...]]) -> None:
    kept = JobLines()
    for picture in history:
        assert lines(picture, kept) == lines(picture, JobLines())


def test_only_jobs_that_changed_are_written_again(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    original = job_series._lines

    def count(name: str, job: JobStatus) -> tuple[str, ...]:
        written.append(name)
        return original(name, job)

    kept, three = JobLines(), many(3)
    monkeypatch.setattr(job_series, "_lines", count)
    kept.families(three)
    kept.families((three[0], replace(three[1], missed_runs=1), three[2]))
    assert written == ["100-0", "101-0", "102-0", "101-0"]


def test_a_job_that_is_gone_is_forgotten() -> None:
    kept = JobLines()
    kept.families(many(2))
    (info, *_) = kept.families(many(1))
    assert [line.count("zsr_job=") for line in info.lines] == [1]


def test_every_metric_with_a_job_alone_is_written_here() -> None:
    elsewhere = {
        "zsr_source_snapshots", "zsr_source_foreign_snapshots", "zsr_job_foreign_tool_conflict",
        "zsr_job_vanished_since_timestamp_seconds", "zsr_job_unreplicated_unknown",
        "zsr_job_promise_unknown_since_timestamp_seconds", "zsr_job_tidying_failing_since_timestamp_seconds",
    }  # fmt: skip
    of_jobs = {metric for metric in CATALOGUE if "zsr_job" in metric.labels and metric.name not in elsewhere}
    assert set(METRICS) == of_jobs


def test_names_with_quotes_and_line_feeds_are_escaped() -> None:
    (info, *_) = JobLines().families([healthy("100-0", guest_name='a"b\\c\nd')])
    assert 'guest_name="a\\"b\\\\c\\nd"' in info.lines[0]


def test_every_line_ends() -> None:
    for family in JobLines().families(every_state()):
        assert all(text == "" or text.endswith("\n") for text in family.lines)
