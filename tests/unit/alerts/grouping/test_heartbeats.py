"""The heartbeat: what it counts as kept, and that it comes each day whatever happens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC

import pytest

from alerts.delivery.pipeline import PipelineInput, process_events
from alerts.delivery.store import TargetState, key_of, load_state, state_json
from alerts.grouping.heartbeats import LISTED, heartbeat
from alerts.grouping.notices import NoticeSource
from alerts.notice import Notice, NoticeKind, Severity
from alerts.render.titles import title_of
from alerts.routing.routes import Match, Route, read_route
from replicator.api.job_status import JobStatus
from tests.support import statuses

NOW, DAY = statuses.NOW, statuses.DAY  # 2027-01-15 08:00:00 UTC


def beat(*jobs: JobStatus, ready: bool = True, match: Match | None = None) -> Notice:
    return heartbeat(statuses.status(*jobs, ready=ready), match or Match(), NoticeSource("alpha", "mail"), UTC)


def late(job: str = "100-0") -> JobStatus:
    well = statuses.healthy(job)
    return replace(well, state=replace(well.state, last_sync=NOW - 5400))


@pytest.mark.parametrize(
    ("build", "counted"),
    [
        (statuses.healthy, "1 job, 1 kept"),
        (statuses.syncing, "1 job, 1 kept"),
        (late, "1 job, 0 kept, 1 not kept"),
        (statuses.failing, "1 job, 0 kept, 1 not kept"),
        (statuses.lost, "1 job, 0 kept, 1 not kept"),
        (lambda: statuses.first_copy(age=DAY), "1 job, 0 kept, 1 not kept"),
        (statuses.first_copy, "1 job, 0 kept, 1 without a proven copy yet"),
        (statuses.never_ran, "1 job, 0 kept, 1 without a proven copy yet"),
        (statuses.unconfirmed, "1 job, 0 kept, 1 without a proven copy yet"),
        (statuses.disabled, "1 job, 0 kept, 1 without a promise"),
        (statuses.removing, "1 job, 0 kept, 1 without a promise"),
    ],
)
def test_only_a_proven_copy_as_fresh_as_promised_is_kept(build: Callable[[], JobStatus], counted: str) -> None:
    assert beat(build()).about == counted


def test_its_words_are_short() -> None:
    notice = beat(*statuses.many(12))
    assert title_of(notice) == "zsr on alpha is alive: 12 jobs, 12 kept"
    assert (notice.severity, notice.text) == (Severity.INFO, "Checked at 2027-01-15 08:00:00.")


def test_jobs_that_are_not_kept_are_named_up_to_a_number() -> None:
    notice = beat(late(), statuses.healthy("101-0"))
    assert notice.text.splitlines()[1:] == ["Not kept: 100-0."]
    many = beat(*(late(f"{guest}-0") for guest in range(100, 102 + LISTED)))
    assert many.text.endswith("109-0 and 2 more.")


def test_a_daemon_without_jobs_or_that_is_not_ready_says_so() -> None:
    assert beat().about == "0 jobs"
    assert "not ready" in beat(ready=False).text


def test_it_counts_the_jobs_of_its_route() -> None:
    assert beat(*statuses.many(3), match=Match(guest=frozenset({101}))).about == "1 job, 1 kept"


def look(state: TargetState, route: Route, now: float) -> TargetState:
    """One turn of a target, whose state is stored and loaded again."""
    status = statuses.status(statuses.healthy(now=now), now=now)
    after = process_events((), state, PipelineInput("mail", route, status, UTC))
    loaded = load_state(statuses.FakeMemory({key_of("mail"): state_json(after)}), "mail")
    assert loaded is not None
    return loaded


def test_it_comes_each_day_at_its_time_and_once_also_after_a_restart_or_a_clock_that_was_set_back() -> None:
    route, problems = read_route("notify.0", {"heartbeat": "daily 09:00"})
    assert problems == []
    state = TargetState(0, reminded=NOW, digested=NOW, beaten=NOW)
    moments = []
    for minutes in (0, 59, 60, 61, 600, 1440, 1500, 1501, 300, 1502, 2940, 2941):
        after = look(state, route, NOW + 60 * minutes)
        if after.outbox:
            assert [entry.notice.kind for entry in after.outbox] == [NoticeKind.HEARTBEAT]
            moments.append(minutes)
        state = replace(after, outbox=())
    assert moments == [60, 1500, 1502, 2940]


def test_without_the_setting_there_is_none() -> None:
    state = TargetState(0, reminded=NOW, digested=NOW, beaten=NOW)
    assert look(state, Route(), NOW + DAY + 3600).outbox == ()
