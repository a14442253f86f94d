"""A drill that failed is reported once, and once more when one has passed; the digest says how the drills stand."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from alerts.grouping.conditions import Condition, evaluate_conditions
from alerts.grouping.digests import digest
from alerts.grouping.drills import record_drills, report_drills
from alerts.grouping.notices import NoticeSource
from alerts.notice import Notice, NoticeKind, Severity
from alerts.routing.routes import Match
from replicator.api.drills import GuestDrills
from replicator.events import Event, GuestDrilled
from replicator.models import DrillResult, JobId
from tests.support import statuses
from tests.support.drills import failed_drill, overdue_drill, passed_drill

NOW = statuses.NOW
FAILED, PASSED = NoticeKind.DRILL_FAILED, NoticeKind.DRILL_PASSED


def drilled(result: DrillResult, guest: int = 100, at: float = NOW) -> GuestDrilled:
    return GuestDrilled(at, JobId(guest, 0), "beta", result, "what was found.", int(at) - 900, 60.0)


@dataclass
class Watcher:
    """Reads the journal and the status, as a target does, and keeps its notices."""

    match: Match = field(default_factory=Match)
    conditions: dict[str, Condition] = field(default_factory=dict)
    reported: list[Notice] = field(default_factory=list)

    def look(self, now: float, *events: Event) -> list[NoticeKind]:
        status = statuses.status(statuses.healthy("100-0"), statuses.healthy("101-0"), now=now)
        sender = NoticeSource("alpha", "mail", len(self.reported))
        numbered = list(enumerate(events, start=1))
        self.conditions = record_drills(numbered, self.conditions, lambda job: self.match.wants_job(job, "beta"))
        notices, self.conditions = report_drills(status, self.conditions, sender)
        _, self.conditions = evaluate_conditions(status, self.conditions, {}, self.match, sender)
        self.reported += notices
        return [notice.kind for notice in notices]


def test_it_is_reported_once_however_often_it_fails_and_once_when_one_has_passed() -> None:
    watcher = Watcher()
    assert watcher.look(NOW, drilled(DrillResult.FAILED)) == [FAILED]
    assert watcher.look(NOW + 3600) == []
    assert watcher.look(NOW + 7200, drilled(DrillResult.FAILED, at=NOW + 7200)) == []
    assert watcher.look(NOW + 9000, drilled(DrillResult.PASSED, at=NOW + 9000)) == [PASSED]
    assert watcher.look(NOW + 9060) == []
    first, second = watcher.reported
    assert (first.severity, first.text) == (Severity.WARNING, "On beta: what was found.")
    assert (second.thread, second.closes) == (first.thread, True)
    assert not [name for name in watcher.conditions if name.startswith("drill/")]


def test_one_that_passes_without_a_failure_before_is_no_message() -> None:
    assert Watcher().look(NOW, drilled(DrillResult.PASSED)) == []


def test_one_that_the_route_is_not_about_is_not_reported() -> None:
    watcher = Watcher(match=Match(guest=frozenset({101})))
    assert watcher.look(NOW, drilled(DrillResult.FAILED, 100)) == []
    assert watcher.look(NOW, drilled(DrillResult.FAILED, 101)) == [FAILED]


def lines(*drills: GuestDrills, match: Match | None = None) -> list[str]:
    status = replace(statuses.status(statuses.healthy("100-0")), drills=drills)
    text = digest(status, {}, NOW - 86400, match or Match(), NoticeSource("alpha", "mail", 1)).text
    return [line for line in text.splitlines() if "rill" in line]


class TestTheDigest:
    def test_has_no_line_where_no_guest_is_drilled(self) -> None:
        assert lines() == []

    def test_says_how_many_passed_and_names_the_others(self) -> None:
        assert lines(passed_drill(), failed_drill(101), overdue_drill(102, "gamma")) == [
            "Drills: 1 of 3 replicas of guests have passed in time.",
            "1 drill failed last: guest 101 web on beta.",
            "1 drill passed too long ago, or never: guest 102 web on gamma.",
        ]

    def test_is_about_the_guests_of_its_route(self) -> None:
        match = Match(guest=frozenset({100}))
        assert lines(passed_drill(), failed_drill(101), match=match) == [
            "Drills: 1 of 1 replicas of guests have passed in time."
        ]
