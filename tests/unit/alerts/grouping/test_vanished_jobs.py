"""When the notice of jobs that vanished comes, and what it says of them."""

from __future__ import annotations

from dataclasses import replace

from alerts.grouping.grouping import first_failure_time
from alerts.grouping.notices import NoticeSource
from alerts.grouping.vanished_jobs import vanished_jobs_notice
from alerts.notice import Notice, NoticeKind, Severity
from alerts.routing.routes import Match
from replicator.api.coverage import GuestCoverage
from replicator.events import Event, JobRemoved, JobVanished
from replicator.models import JobId
from tests.support.statuses import NOW, status

EVENTS: list[tuple[int, Event]] = [
    (1, JobVanished(NOW, JobId(100, 0), "beta", NOW - 900)),
    (2, JobRemoved(NOW, JobId(102, 0))),
    (3, JobVanished(NOW, JobId(101, 0), "gamma", None)),
]


def notice(match: Match | None = None) -> Notice | None:
    picture = replace(status(), coverage={100: GuestCoverage("web", ())})
    return vanished_jobs_notice(EVENTS, picture, match or Match(), NoticeSource("alpha", "mail", 1))


def test_all_jobs_of_a_batch_are_in_one_notice() -> None:
    found = notice()
    assert found is not None
    assert (found.kind, found.severity) == (NoticeKind.JOB_VANISHED, Severity.CRITICAL)
    subjects = [(str(each.job), each.guest_name, each.source, each.target, each.last_sync) for each in found.subjects]
    assert subjects == [("101-0", "", "alpha", "gamma", None), ("100-0", "web", "alpha", "beta", NOW - 900)]


def test_a_route_has_those_that_it_wants() -> None:
    found = notice(Match(target=frozenset({"gamma"})))
    assert found is not None
    assert [str(each.job) for each in found.subjects] == ["101-0"]
    assert notice(Match(guest=frozenset({102}))) is None


def test_it_is_sent_without_waiting_for_others_since_one_look_reports_all_that_are_gone() -> None:
    assert first_failure_time(EVENTS) is None
