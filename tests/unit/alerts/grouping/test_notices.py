"""Notices made from events and the status: their facts, the order of their jobs, and how many jobs they mention."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC

import pytest

from alerts.grouping.grouping import Incident, IncidentState, NotificationGroup
from alerts.grouping.notices import NoticeSource, group_notice, subject_now
from alerts.notice import Severity
from alerts.render.compose import compose
from alerts.render.content import Level, MessageContent, RenderContext
from replicator.api.job_status import JobStatus
from replicator.errors import ErrorClass
from replicator.events import RunFailed, RunSucceeded
from replicator.job_choices import Removal
from replicator.models import JobId
from tests.support import statuses

NOW = statuses.NOW  # 2027-01-15 08:00:00 UTC


def failure(guest: int = 100) -> RunFailed:
    return RunFailed(
        time=NOW - 60,
        job=JobId(guest, 0),
        run=1,
        error_class=ErrorClass.NETWORK,
        message="Node beta does not answer on port 22.",
        advice="Check that the node is up.",
        consecutive=1,
        failing_since=NOW - 60,
        last_sync=NOW - 5400,
        next_run=NOW + 240,
    )


def content_of(*events: RunFailed | RunSucceeded, jobs: tuple[JobStatus, ...], node: str = "beta") -> MessageContent:
    incidents = {str(event.job): Incident(None, NOW - 7200) for event in events}
    group = NotificationGroup(tuple(enumerate(events, start=5)), incidents, node)
    notice = group_notice(group, statuses.status(*jobs), IncidentState(), NoticeSource("alpha", "mail"))
    return compose(notice, RenderContext(NOW, UTC))


def test_a_job_that_was_removed_meanwhile_is_reported_with_what_the_event_knows() -> None:
    letter = content_of(failure(), jobs=())
    assert letter.title == "Guest 100: replication failed (network), to its target"
    assert "fall back to 2027-01-15 06:30:00" in "".join(fact.text for fact in letter.facts)


def test_a_failing_removal_is_called_a_removal() -> None:
    removed = statuses.failing()
    removed = replace(removed, job=replace(removed.job, removal=Removal.FULL))
    assert content_of(failure(), jobs=(removed,)).title == "Guest 100 guest-100: removal is stuck (network), on beta"


def test_the_guest_whose_promise_breaks_first_is_listed_first_and_one_without_a_replica_before_it() -> None:
    bare = statuses.failing("102-0", ever_synced=False)
    jobs = (statuses.healthy("100-0"), statuses.failing("101-0"), bare)
    rows = content_of(failure(100), failure(101), failure(102), jobs=jobs).rows
    assert [row.who.split()[0] for row in rows] == ["102", "101", "100"]
    assert "no replica yet" in rows[0].what
    assert "the promise is broken" in rows[1].detail


def test_a_failure_of_a_job_whose_replica_is_lost_is_critical_and_says_that_there_is_none_any_more() -> None:
    lost = statuses.lost()
    letter = content_of(failure(), jobs=(lost,))
    assert letter.tone is Level.BAD
    assert "guest 100 guest-100 would be lost; there is no replica on beta any more" in [f.text for f in letter.facts]
    group = NotificationGroup(((5, failure()),), {"100-0": None})
    notice = group_notice(group, statuses.status(lost), IncidentState(), NoticeSource("alpha", "mail"))
    assert notice.severity is Severity.CRITICAL


def test_the_jobs_that_have_not_failed_yet_are_counted_where_the_node_is_at_fault() -> None:
    jobs = statuses.many(30)
    assert "30 jobs replicate to beta" in content_of(failure(100), failure(101), jobs=jobs).notes[0]
    assert content_of(failure(100), failure(101), jobs=jobs, node="").notes == ()


def test_a_job_of_several_that_was_removed_meanwhile_is_named_by_its_number() -> None:
    (_, gone) = sorted(content_of(failure(100), failure(999), jobs=statuses.many(1)).rows, key=lambda row: row.who)
    assert (gone.who, gone.what, gone.detail) == ("999", "the job is not there any more", "job 999-0")


def test_the_all_clear_says_how_long_it_lasted_and_how_old_the_oldest_replica_was() -> None:
    events = [RunSucceeded(NOW - 5, JobId(guest, 0), 1, NOW - 10, 5.0, 1, 3, NOW - 3600) for guest in (100, 101)]
    letter = content_of(*events, jobs=statuses.many(2))
    assert letter.title == "Node beta is back: guests 100 and 101"
    assert {fact.label: fact.text for fact in letter.facts} == {
        "Had been failing": "since 2027-01-15 07:00:00, for 59 minutes",
        "Failed runs": "6",
        "Oldest a replica was": "2 hours",
    }


@pytest.mark.parametrize("age", [0.0, 1800.0, 1801.0, 1e6, -300.0, -301.0])
@pytest.mark.parametrize("job", [statuses.healthy(), statuses.syncing(), statuses.lost(), statuses.removing()])
def test_a_notice_and_the_status_agree_on_whether_a_promise_is_broken(job: JobStatus, age: float) -> None:
    if job.state.last_sync is not None:
        job = replace(job, state=replace(job.state, last_sync=NOW - age))
    assert subject_now(job).is_broken(NOW) == job.is_promise_broken(NOW)
