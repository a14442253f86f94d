"""The words about several jobs with one cause: who, what, since when, what would be lost, no endless list."""

from __future__ import annotations

from dataclasses import replace
from zoneinfo import ZoneInfo

from alerts.groups import LISTED
from alerts.messages import TITLE_SEEN, Kind, Message
from alerts.noticing import Sender, telling_notice
from alerts.policy import Incident, Memory, Telling
from alerts.wording import compose
from replicator.errors import ErrorClass
from replicator.events import RunFailed, RunSucceeded
from replicator.jobs import JobId
from replicator.plugins import JobStatus
from tests import statuses

NOW = statuses.NOW


def failure(guest: int) -> RunFailed:
    return RunFailed(
        time=NOW - 60,
        job=JobId(guest, 0),
        run=1,
        error_class=ErrorClass.NETWORK,
        message="Node beta does not answer on port 22.",
        advice="Check that the node is up.",
        consecutive=1,
        failing_since=NOW - 60,
        last_sync=NOW - 300,
        next_run=NOW + 240,
    )


def told(*events: RunFailed | RunSucceeded, jobs: tuple[JobStatus, ...], node: str = "beta") -> Message:
    incidents = {str(event.job): Incident(None, NOW - 7200) for event in events}
    telling = Telling(tuple(enumerate(events, start=5)), incidents, node)
    notice = telling_notice(telling, statuses.status(*jobs), Memory(), Sender("alpha", "mail"))
    return compose(notice, NOW, ZoneInfo("UTC"))


def test_a_title_says_how_many_what_and_where_and_fits_a_lock_screen() -> None:
    message = told(failure(100), failure(101), jobs=statuses.many(2))
    assert message.kind is Kind.FAILED
    assert message.title == "2 guests: replication fails (network), to beta"
    assert len(message.title) <= TITLE_SEEN


def test_the_guest_whose_promise_breaks_first_is_listed_first_and_one_without_a_replica_before_it() -> None:
    bare = replace(statuses.healthy("102-0"), state=replace(statuses.healthy("102-0").state, last_sync=None))
    jobs = (statuses.healthy("100-0"), statuses.failing("101-0"), bare)
    body = told(failure(100), failure(101), failure(102), jobs=jobs).body
    listed = [line for line in body.splitlines() if line.startswith("- ")]
    assert [line.split()[2].rstrip(":") for line in listed] == ["102", "101", "100"]
    assert "no replica yet" in listed[0]
    assert "the promise is broken" in listed[1]
    assert "the promise breaks in 25 minutes" in listed[2]


def test_the_jobs_that_have_not_failed_yet_are_counted_where_the_node_is_at_fault() -> None:
    jobs = statuses.many(30)
    assert "30 jobs replicate to beta" in told(failure(100), failure(101), jobs=jobs).body
    assert "jobs replicate to beta" not in told(failure(100), failure(101), jobs=jobs, node="").body


def test_a_long_list_says_how_many_more_there_are() -> None:
    jobs = statuses.many(LISTED + 3)
    body = told(*(failure(each.job.id.guest) for each in jobs), jobs=jobs).body
    assert sum(line.startswith("- guest") for line in body.splitlines()) == LISTED
    assert "- and 3 more" in body


def test_a_job_that_was_removed_meanwhile_is_named_by_its_number() -> None:
    body = told(failure(100), failure(999), jobs=statuses.many(1)).body
    assert "- job 999-0, which is not there any more" in body


def test_the_all_clear_says_how_long_it_lasted_and_how_old_the_oldest_replica_was() -> None:
    events = [RunSucceeded(NOW - 5, JobId(guest, 0), 1, NOW - 10, 5.0, 1, 3, NOW - 3600) for guest in (100, 101)]
    message = told(*events, jobs=statuses.many(2))
    assert (message.kind, message.title) == (Kind.RECOVERED, "2 guests: replication is well again, to beta")
    assert "for 59 minutes" in message.body
    assert "Failed runs: 6" in message.body
    assert "up to 2 hours old (promised: 30 minutes)" in message.body
    assert "Guests: 100, 101" in message.body
