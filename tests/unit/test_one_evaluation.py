"""How a job is, is decided once: messages, digest, heartbeat, `zsr check`, `zsr status` and the page say the same."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.grouping.conditions import PROMISE, evaluate_conditions
from alerts.grouping.digests import digest
from alerts.grouping.heartbeats import heartbeat
from alerts.grouping.notices import NoticeSource, subject_now
from alerts.render.titles import Standing, standing
from alerts.routing.routes import Match
from exporter.status_page import render_page
from replicator.api.job_status import JobStatus
from replicator.api.promise import FUTURE_SECONDS, Promise
from replicator.api.status import Status
from replicator.cli.status import kept
from replicator.daemon.health_check import HealthLevel, job_health
from replicator.daemon.status_json import job_json
from tests.support import statuses
from tests.support.statuses import NOW

SOURCE = NoticeSource("alpha", "mail", 1)

STATES = (*statuses.every_state(), statuses.lost(), statuses.unconfirmed(), statuses.first_copy())


@st.composite
def jobs(draw: st.DrawFn) -> JobStatus:
    """A job in any state, with a last sync of any age, also in the future."""
    job = replace(draw(st.sampled_from(STATES)), rpo=draw(st.sampled_from([60.0, 1800.0, 1e6])))
    if job.state.last_sync is None:
        return job
    age = draw(st.sampled_from([-1e8, -FUTURE_SECONDS - 1, -FUTURE_SECONDS, 0.0, 60.0, 61.0, 1800.0, 1801.0, 2e6]))
    return replace(job, state=replace(job.state, last_sync=NOW - age))


@given(jobs())
def test_every_reader_gets_the_same_answer_about_a_promise(job: JobStatus) -> None:
    promise, status = job.promise(NOW), statuses.status(job)
    assert (_check(job) is HealthLevel.CRITICAL) == promise.is_broken
    assert _is_reported(status) == promise.is_broken
    assert (kept(job_json(job, NOW)) == "NO") == promise.is_overdue
    assert (kept(job_json(job, NOW)) == "yes") == (promise is Promise.KEPT)
    assert ("promise broken" in render_page(status)) == promise.is_overdue
    assert heartbeat(status, Match(), SOURCE, UTC).about == f"1 job, {_HEARTBEAT[promise]}"
    if job.state.last_sync is not None and promise is not Promise.NONE:
        assert subject_now(job).is_broken(NOW) == promise.is_broken


@given(jobs())
def test_a_digest_calls_a_job_well_only_when_its_promise_is_kept(job: JobStatus) -> None:
    found = digest(statuses.status(job), {}, NOW - 3600, Match(), SOURCE).digest
    assert found is not None
    promise, (line,) = job.promise(NOW), found.lines
    if promise.is_overdue:
        assert standing(line) is Standing.BAD
    if standing(line) is Standing.WELL:
        assert promise is Promise.KEPT
    assert (standing(line) is Standing.OFF) == (promise is Promise.NONE)


@pytest.mark.parametrize(("ahead", "promise"), [(FUTURE_SECONDS, Promise.KEPT), (FUTURE_SECONDS + 1, Promise.UNKNOWN)])
def test_a_last_sync_far_in_the_future_keeps_no_promise(ahead: float, promise: Promise) -> None:
    job = statuses.healthy()
    assert replace(job, state=replace(job.state, last_sync=NOW + ahead)).promise(NOW) is promise


_HEARTBEAT = {
    Promise.NONE: "0 kept, 1 without a promise",
    Promise.KEPT: "1 kept",
    Promise.AWAITED: "0 kept, 1 without a proven copy yet",
} | dict.fromkeys((Promise.COPYING, Promise.BROKEN, Promise.LOST, Promise.UNKNOWN), "0 kept, 1 not kept")


def _check(job: JobStatus) -> HealthLevel:
    return job_health(job_json(job, NOW), NOW, warn_at=1.0, promise_only=True).level


def _is_reported(status: Status) -> bool:
    """Whether a broken promise becomes a condition, of which a message is made when it lasts."""
    _, known = evaluate_conditions(status, {}, {}, Match(), SOURCE, set(), every_promise=True)
    return f"{PROMISE}/{status.jobs[0].job.id}" in known
