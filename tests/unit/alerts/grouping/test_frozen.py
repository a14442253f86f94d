"""A guest that could not be thawed is reported at once and once, and once more when it is thawed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from alerts.grouping.conditions import Condition, evaluate_conditions
from alerts.grouping.frozen import record_frozen, report_frozen
from alerts.grouping.grouping import first_failure_time
from alerts.grouping.notices import NoticeSource
from alerts.notice import Notice, NoticeKind, Severity
from alerts.routing.routes import Match
from replicator.api.job_status import JobStatus
from replicator.events import Event, GuestFrozen, GuestThawed
from replicator.models import JobId
from tests.support import statuses

NOW = statuses.NOW
FROZEN, THAWED = NoticeKind.GUEST_FROZEN, NoticeKind.GUEST_THAWED
BOTH = (statuses.healthy("100-0"), statuses.healthy("101-0"))


def frozen(guest: int = 100, at: float = NOW) -> GuestFrozen:
    words = f"The thaw hook of guest {guest} failed: no agent."
    return GuestFrozen(at, JobId(guest, 0), 7, at - 70, words, f"thaw {guest}")


def thawed(guest: int = 100, at: float = NOW) -> GuestThawed:
    return GuestThawed(at, JobId(guest, 0), 7, at - 300)


@dataclass
class Watcher:
    """Reads the journal and the status, as a target does, and keeps its notices."""

    match: Match = field(default_factory=Match)
    conditions: dict[str, Condition] = field(default_factory=dict)
    reported: list[Notice] = field(default_factory=list)

    def look(self, now: float, *events: Event, jobs: Sequence[JobStatus] = BOTH) -> list[NoticeKind]:
        numbered = list(enumerate(events, start=1))
        status = statuses.status(*jobs, now=now)
        sender = NoticeSource("alpha", "mail", len(self.reported))
        self.conditions = record_frozen(numbered, self.conditions, lambda job: self.match.wants_job(job, "beta"))
        notices, self.conditions = report_frozen(status, self.conditions, sender)
        _, self.conditions = evaluate_conditions(status, self.conditions, {}, self.match, sender)
        self.reported += notices
        return [notice.kind for notice in notices]


def test_it_is_reported_at_once_and_once_and_once_when_it_is_thawed() -> None:
    watcher = Watcher()
    assert watcher.look(NOW, frozen()) == [FROZEN]
    assert watcher.look(NOW + 3600) == []
    assert watcher.look(NOW + 7200, thawed(at=NOW + 7200)) == [THAWED]
    assert watcher.look(NOW + 7260) == []
    first, second = watcher.reported
    assert (first.severity, first.opens, first.closes) == (Severity.CRITICAL, True, False)
    assert first.text == "The thaw hook of guest 100 failed: no agent.\nThaw it now: thaw 100"
    assert [(each.guest, each.source) for each in first.subjects] == [(100, "alpha")]
    assert (second.thread, second.opens, second.closes) == (first.thread, False, True)
    assert second.subjects[0].failing_since == NOW - 70
    assert not [name for name in watcher.conditions if name.startswith("frozen/")]


def test_no_other_failure_is_waited_for() -> None:
    assert first_failure_time([(1, frozen())]) is None


def test_two_of_one_batch_are_one_message_whose_thread_ends_with_the_second() -> None:
    watcher = Watcher()
    assert watcher.look(NOW, frozen(100), frozen(101)) == [FROZEN]
    assert watcher.look(NOW + 60, thawed(101)) == [THAWED]
    assert watcher.look(NOW + 120, thawed(100)) == [THAWED]
    assert [[each.guest for each in notice.subjects] for notice in watcher.reported] == [[100, 101], [101], [100]]
    assert [notice.closes for notice in watcher.reported] == [False, False, True]


def test_one_that_is_thawed_before_the_next_turn_is_reported_all_the_same() -> None:
    watcher = Watcher()
    assert watcher.look(NOW, frozen(), thawed(at=NOW + 5)) == [FROZEN]
    assert watcher.look(NOW + 60) == [THAWED]


def test_one_whose_job_is_gone_is_reported_and_keeps_its_all_clear() -> None:
    watcher = Watcher()
    assert watcher.look(NOW, frozen(777), jobs=()) == [FROZEN]
    assert watcher.look(NOW + 60, thawed(777), jobs=()) == [THAWED]
    assert watcher.reported[0].subjects[0].guest == 777


def test_one_that_the_route_is_not_about_is_not_reported() -> None:
    watcher = Watcher(match=Match(guest=frozenset({101})))
    assert watcher.look(NOW, frozen(100)) == []
    assert watcher.look(NOW + 60, thawed(100)) == []
    assert watcher.conditions == {}
