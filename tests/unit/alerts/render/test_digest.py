"""What a digest calls well: no job whose promise is broken, and none without a copy that should have one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.grouping.digests import digest
from alerts.grouping.notices import NoticeSource
from alerts.render.compose import compose
from alerts.render.content import Level, MessageContent, RenderContext, Row
from alerts.routing.routes import Match
from replicator.api.job_status import JobStatus
from replicator.models import JobCondition
from tests.support import statuses

NOW, DAY = statuses.NOW, statuses.DAY


def content_of(*jobs: JobStatus) -> MessageContent:
    notice = digest(statuses.status(*jobs), {}, NOW - DAY, Match(), NoticeSource("alpha", "mail"))
    return compose(notice, RenderContext(NOW, UTC))


def row(job: JobStatus) -> Row:
    (only,) = content_of(job).rows
    return only


def late() -> JobStatus:
    """A job without a failure whose promise is broken: its scheduler stands still, or the queue is long."""
    job = statuses.healthy()
    return replace(job, state=replace(job.state, last_sync=NOW - 5 * DAY))


def late_in_a_run() -> JobStatus:
    job = statuses.syncing()
    return replace(job, state=replace(job.state, last_sync=NOW - 5 * DAY))


def long_pending() -> JobStatus:
    job = statuses.never_ran()
    return replace(job, state=replace(job.state, created=NOW - DAY))


def lost_and_idle() -> JobStatus:
    job = statuses.lost()
    return replace(job, condition=JobCondition.PENDING, transfer=None)


def lost_and_young() -> JobStatus:
    job = statuses.lost()
    return replace(job, state=replace(job.state, created=NOW - 60))


def disabled_and_old() -> JobStatus:
    return statuses.disabled()


def removed_and_lost() -> JobStatus:
    job = statuses.removing()
    return replace(job, state=replace(job.state, last_sync=None))


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (statuses.failing, "error, 1 hour 30 minutes old"),
        (late, "late, 5 days old"),
        (late_in_a_run, "late, 5 days old"),
        (long_pending, "late, never replicated"),
        (lambda: statuses.first_copy(age=DAY), "late, never replicated"),
        (statuses.lost, "late, the replica is lost"),
        (lost_and_idle, "late, the replica is lost"),
        (lost_and_young, "late, the replica is lost"),
    ],
)
def test_a_job_is_not_well(build: Callable[[], JobStatus], words: str) -> None:
    content = content_of(build(), statuses.healthy("101-0"))
    assert content.title == "1 of 2 jobs not well on alpha: guest 100 guest-100"
    assert content.tone is Level.WARN
    assert (content.rows[0].who, content.rows[0].bad) == ("100 guest-100", True)
    assert content.rows[0].what.startswith(words)


@pytest.mark.parametrize("build", [statuses.healthy, statuses.syncing])
def test_a_job_with_a_copy_as_fresh_as_promised_is_well(build: Callable[[], JobStatus]) -> None:
    content = content_of(build())
    assert content.title == "The one job is well on alpha"
    assert (content.tone, content.rows[0].bad) == (Level.GOOD, False)
    assert content.lead.endswith("1 of 1 jobs are well.")


@pytest.mark.parametrize(
    ("build", "title", "words"),
    [
        (statuses.never_ran, "1 has no proven copy yet", "pending, never replicated"),
        (statuses.first_copy, "1 has no proven copy yet", "syncing, never replicated"),
        (statuses.unconfirmed, "1 has no proven copy yet", "unconfirmed, 5 minutes old"),
        (disabled_and_old, "1 is disabled or being removed", "disabled, 1 day"),
        (statuses.removing, "1 is disabled or being removed", "removing, 5 minutes old"),
        (removed_and_lost, "1 is disabled or being removed", "removing, the replica is lost"),
    ],
)
def test_a_job_without_a_proven_copy_or_a_promise_is_not_called_well(
    build: Callable[[], JobStatus], title: str, words: str
) -> None:
    content = content_of(build(), statuses.healthy("101-0"))
    assert content.title == f"1 of 2 jobs are well on alpha; {title}"
    assert content.lead.endswith("1 of 2 jobs are well.")
    assert content.tone is Level.PLAIN
    (its_row,) = [each for each in content.rows if each.who.startswith("100")]
    assert its_row.what.startswith(words)
    assert not its_row.bad


def test_every_condition_of_a_job_is_in_a_test_above() -> None:
    shown = {job.condition for job in statuses.every_state()}
    assert shown == set(JobCondition)
    assert content_of(*statuses.every_state()).title.startswith("1 of 6 jobs not well on alpha: guest 102")


ANY = st.builds(
    lambda build, age, synced, lag: _aged(build(), age, synced, lag),
    st.sampled_from(
        [statuses.healthy, statuses.syncing, statuses.failing, statuses.never_ran, statuses.disabled, statuses.removing]
    ),
    st.floats(0, 1e6),
    st.booleans(),
    st.floats(0, 1e6) | st.none(),
)


def _aged(job: JobStatus, age: float, synced: bool, lag: float | None) -> JobStatus:
    last_sync = None if lag is None else NOW - lag
    runs = int(synced or last_sync is not None)
    return replace(job, state=replace(job.state, created=NOW - age, last_sync=last_sync, runs_succeeded=runs))


@given(ANY)
def test_no_title_says_that_all_is_well_above_a_row_that_is_not(job: JobStatus) -> None:
    content = content_of(job)
    all_well = content.title == "The one job is well on alpha"
    assert ("not well" in content.title) is content.rows[0].bad
    assert (content.tone is Level.GOOD) is all_well
    if all_well:
        assert job.state.last_sync is not None
        assert job.is_promised
    promises = job.condition not in (JobCondition.DISABLED, JobCondition.REMOVING)
    lag = NOW - (job.state.created if job.state.last_sync is None else job.state.last_sync)
    if promises and lag > job.rpo:
        assert content.rows[0].bad
