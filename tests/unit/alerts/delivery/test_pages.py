"""A broken promise is a page within three minutes, whatever the target heard, or did not want to hear, before."""

from __future__ import annotations

from datetime import UTC
from itertools import pairwise

import pytest

from alerts.delivery.pipeline import PipelineInput, process_events
from alerts.delivery.store import TargetState
from alerts.grouping.conditions import REPEAT_INTERVAL_SECONDS
from alerts.notice import NoticeKind, Severity
from alerts.routing.quiet_hours import Window
from alerts.routing.routes import Match, Quiet, Route
from replicator.errors import ErrorClass
from replicator.models import JobId
from tests.support import statuses
from tests.support.notify import failed
from tests.support.notify_story import EVENING, DeadTarget

SLACK_SECONDS = 180.0
CRITICAL_ONLY = Route(Match(severity=frozenset({Severity.CRITICAL})))
NIGHT = "mon..sun 18:00-08:00"
ROUTES = {
    "all": Route(),
    "critical only": CRITICAL_ONLY,
    "promises only": Route(Match(event=frozenset({NoticeKind.RPO_BREACHED}))),
    "quiet below critical": Route(quiet=Quiet(Window.parse(NIGHT), below=Severity.CRITICAL)),
    "dropped below critical": Route(quiet=Quiet(Window.parse(NIGHT), drop=True, below=Severity.CRITICAL)),
}


@pytest.mark.parametrize("error_class", [ErrorClass.NETWORK, ErrorClass.NO_SPACE])
@pytest.mark.parametrize("gap", [0.0, 40.0])
@pytest.mark.parametrize("jobs", [1, 2, 20])
@pytest.mark.parametrize("route", ROUTES)
def test_a_broken_promise_is_a_page_within_three_minutes(
    route: str, jobs: int, gap: float, error_class: ErrorClass
) -> None:
    story = DeadTarget(ROUTES[route], jobs, gap, error_class).until(EVENING + 5000)
    pages = story.pages()
    assert pages, "nobody is paged"
    assert pages[0].at <= story.breaks(0) + SLACK_SECONDS
    for index in range(jobs):
        named = [page.at for page in pages if JobId(100 + index, 0) in page.jobs and page.at >= story.breaks(index)]
        assert named, f"no page names job {100 + index}-0"
        assert named[0] <= story.breaks(index) + SLACK_SECONDS + REPEAT_INTERVAL_SECONDS


@pytest.mark.parametrize("gap", [0.0, 40.0])
def test_alertmanager_gets_each_broken_promise_in_time_also_while_its_node_is_silent(gap: float) -> None:
    story = DeadTarget(Route(every_promise=True), 20, gap).until(EVENING + 5000)
    for index in range(20):
        breaches = [each for each in story.delivered if each.notice.kind is NoticeKind.RPO_BREACHED]
        named = [each.at for each in breaches if JobId(100 + index, 0) in each.jobs]
        assert len(named) == 1
        assert story.breaks(index) <= named[0] <= story.breaks(index) + SLACK_SECONDS


@pytest.mark.parametrize("first_look", [0.0, 1.0, 30.0, 59.0, 59.9])
def test_the_page_comes_in_time_wherever_the_minute_of_the_look_lies(first_look: float) -> None:
    story = DeadTarget(ROUTES["promises only"], 2, first_look=first_look).until(EVENING + 3600)
    assert story.pages()[0].at <= story.breaks(0) + SLACK_SECONDS


@pytest.mark.parametrize("jobs", [2, 20])
def test_a_target_that_heard_the_warning_hears_the_page_too(jobs: int) -> None:
    story = DeadTarget(Route(), jobs).until(EVENING + 2 * 3600)
    severities = [each.notice.severity for each in story.delivered]
    assert severities == [Severity.WARNING, Severity.CRITICAL]
    assert story.delivered[1].notice.kind is NoticeKind.RPO_BREACHED
    assert len(story.delivered[1].notice.subjects) == jobs


@pytest.mark.parametrize("route", ["all", "critical only"])
def test_a_dead_node_with_many_jobs_is_no_flood(route: str) -> None:
    story = DeadTarget(ROUTES[route], 60, 15.0).until(EVENING + 9 * 3600)
    assert len(story.delivered) <= 4
    assert all(later.at - earlier.at >= REPEAT_INTERVAL_SECONDS for earlier, later in pairwise(story.pages()))


def test_a_page_in_quiet_hours_passes_the_warnings_and_says_that_there_are_some() -> None:
    story = DeadTarget(ROUTES["quiet below critical"], 1).until(EVENING + 3600)
    (page,) = story.delivered
    assert (page.notice.severity, page.at) == (Severity.CRITICAL, story.breaks(0) + 20)
    assert "2 earlier messages about this are held by quiet hours." in page.notice.text
    assert [entry.notice.severity for entry in story.state.outbox] == [Severity.WARNING, Severity.WARNING]


def test_a_page_that_says_it_already_is_not_followed_by_another() -> None:
    story = DeadTarget(CRITICAL_ONLY, 1).until(EVENING + 9 * 3600)
    assert len(story.pages()) == 1


def test_failures_of_one_batch_that_a_route_does_not_want_leave_nothing_reported() -> None:
    # The daemon was down: two failures of one job, and one of another, are read at once.
    events = list(enumerate([failed(1), failed(2), failed(1, job=JobId(101, 0))], start=1))
    status = statuses.status(statuses.healthy("100-0"), statuses.healthy("101-0"))
    given = PipelineInput("phone", CRITICAL_ONLY, status, UTC)
    state = process_events(events, TargetState(0, reminded=statuses.NOW, digested=statuses.NOW), given)
    assert state.outbox == ()
    assert {job: each.reported for job, each in state.incident_state.incidents.items()} == {
        "100-0": None,
        "101-0": None,
    }
