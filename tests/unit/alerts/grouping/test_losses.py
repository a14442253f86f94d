"""Lost replicas are reported at once and once, and once when they are complete again; vanished volumes once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from alerts.grouping.conditions import (
    REPEAT_INTERVAL_SECONDS,
    REPORT_AFTER_SECONDS,
    Condition,
    evaluate_conditions,
    report_losses,
)
from alerts.grouping.grouping import first_failure_time
from alerts.grouping.losses import LISTED, record_losses, vanished_notices
from alerts.grouping.notices import NoticeSource
from alerts.notice import Notice, NoticeKind, Severity
from alerts.routing.routes import Match
from replicator.api.job_status import JobStatus
from replicator.events import (
    Event,
    GraceEnded,
    GraceEnding,
    GuestReplaced,
    ReplicaLost,
    RunSucceeded,
    SourceWentBack,
    VolumesVanished,
)
from replicator.models import JobId
from tests.support import statuses

NOW = statuses.NOW
LOST, BACK = NoticeKind.REPLICA_LOST, NoticeKind.REPLICA_BACK


def lost(guest: int = 100, at: float = NOW) -> ReplicaLost:
    return ReplicaLost(at, JobId(guest, 0), 7, last_sync=at - 600)


def well(guest: int = 100, at: float = NOW) -> RunSucceeded:
    return RunSucceeded(at, JobId(guest, 0), 8, at - 20, 20.0, 1000)


def gone(*datasets: str, guest: int = 100) -> VolumesVanished:
    return VolumesVanished(NOW, JobId(guest, 0), 7, datasets)


def numbered(events: Iterable[Event]) -> list[tuple[int, Event]]:
    return list(enumerate(events, start=1))


@dataclass
class Watcher:
    """Reads the journal and the status, as a target does, and keeps its notices."""

    match: Match = field(default_factory=Match)
    conditions: dict[str, Condition] = field(default_factory=dict)
    reported: list[Notice] = field(default_factory=list)

    def look(self, now: float, *jobs: JobStatus, events: Sequence[Event] = ()) -> list[NoticeKind]:
        self.conditions = record_losses(
            numbered(events), self.conditions, lambda job: self.match.wants_job(job, "beta")
        )
        sender = NoticeSource("alpha", "mail", len(self.reported))
        status = statuses.status(*jobs, now=now)
        losses, self.conditions = report_losses(status, self.conditions, self.match, sender)
        notices, self.conditions = evaluate_conditions(status, self.conditions, {}, self.match, sender)
        self.reported += [*losses, *notices]
        return [notice.kind for notice in (*losses, *notices)]


class TestALostReplica:
    def test_is_reported_at_once_and_once_and_once_when_a_run_has_succeeded(self) -> None:
        watcher, hours = Watcher(), 3600.0
        assert watcher.look(NOW, statuses.lost(), events=[lost()]) == [LOST]
        assert watcher.look(NOW + REPORT_AFTER_SECONDS, statuses.lost()) == []
        assert watcher.look(NOW + 81 * hours, statuses.lost()) == []
        assert watcher.look(NOW + 82 * hours, statuses.healthy(now=NOW + 82 * hours), events=[well()]) == [BACK]
        assert watcher.look(NOW + 83 * hours, statuses.healthy(now=NOW + 83 * hours)) == []
        first, second = watcher.reported
        assert (first.severity, first.opens, first.closes) == (Severity.CRITICAL, True, False)
        assert (second.thread, second.opens, second.closes) == (first.thread, False, True)
        assert first.subjects[0].worst_lag == 600

    def test_that_is_whole_again_before_the_next_turn_is_reported_all_the_same(self) -> None:
        watcher = Watcher()
        assert watcher.look(NOW, statuses.healthy(), events=[lost(), well(at=NOW + 5)]) == [LOST]
        assert watcher.look(NOW + 60, statuses.healthy(now=NOW + 60)) == [BACK]

    def test_is_not_called_whole_before_the_picture_has_the_new_copy(self) -> None:
        watcher = Watcher()
        watcher.look(NOW, statuses.lost(), events=[lost()])
        assert watcher.look(NOW + 60, statuses.lost(), events=[well(at=NOW + 60)]) == []
        assert watcher.look(NOW + 61, statuses.healthy(now=NOW + 61)) == [BACK]

    def test_is_not_called_whole_by_a_picture_from_before_its_loss(self) -> None:
        watcher = Watcher()
        assert watcher.look(NOW, statuses.healthy(), events=[lost()]) == [LOST]
        assert watcher.look(NOW + 1, statuses.healthy()) == []

    def test_is_not_called_a_broken_promise_too(self) -> None:
        watcher = Watcher()
        for age in (0.0, 60.0, REPORT_AFTER_SECONDS, 2 * REPORT_AFTER_SECONDS, 2 * REPEAT_INTERVAL_SECONDS):
            watcher.look(NOW + age, statuses.lost(), events=[lost()] if age == 0 else [])
        assert [notice.kind for notice in watcher.reported] == [LOST]

    def test_of_a_broken_promise_that_was_reported_has_one_all_clear(self) -> None:
        late = statuses.failing()
        watcher = Watcher()
        watcher.look(NOW, late)
        assert watcher.look(NOW + REPORT_AFTER_SECONDS, late) == [NoticeKind.RPO_BREACHED]
        assert watcher.look(NOW + 600, statuses.lost(), events=[lost()]) == [LOST]
        assert watcher.look(NOW + 900, statuses.healthy(now=NOW + 900), events=[well()]) == [BACK]
        assert (
            watcher.look(NOW + 2 * REPEAT_INTERVAL_SECONDS, statuses.healthy(now=NOW + 2 * REPEAT_INTERVAL_SECONDS))
            == []
        )

    def test_of_two_hundred_jobs_that_are_found_in_one_batch_are_one_message(self) -> None:
        jobs = [statuses.lost(f"{guest}-0") for guest in range(100, 300)]
        watcher = Watcher()
        watcher.look(NOW, *jobs, events=[lost(guest) for guest in range(100, 300)])
        assert [len(notice.subjects) for notice in watcher.reported] == [200]

    def test_that_is_found_soon_after_another_of_its_node_waits_for_more_and_is_reported(self) -> None:
        watcher, one, two = Watcher(), statuses.lost(), statuses.healthy("101-0", now=NOW + 60)
        watcher.look(NOW, one, two, events=[lost()])
        assert watcher.look(NOW + 60, one, two, events=[lost(101), well(101)]) == []
        assert watcher.look(NOW + REPEAT_INTERVAL_SECONDS, one, two) == [LOST]
        assert [subject.guest for subject in watcher.reported[-1].subjects] == [101]

    def test_that_is_lost_again_before_its_all_clear_stays_one_trouble(self) -> None:
        watcher = Watcher()
        watcher.look(NOW, statuses.lost(), events=[lost()])
        assert watcher.look(NOW + 60, statuses.lost(), events=[well(), lost(at=NOW + 60)]) == []
        assert watcher.look(NOW + 90, statuses.healthy(now=NOW + 90), events=[well(at=NOW + 90)]) == [BACK]

    def test_of_a_job_that_is_switched_off_is_no_all_clear(self) -> None:
        watcher, off = Watcher(), statuses.lost()
        watcher.look(NOW, off, events=[lost()])
        off = replace(off, job=replace(off.job, disabled=True), transfer=None)
        assert watcher.look(NOW + 60, off) == []

    def test_of_a_job_that_is_removed_is_forgotten(self) -> None:
        watcher = Watcher()
        watcher.look(NOW, statuses.lost(), events=[lost()])
        assert watcher.look(NOW + 60) == []
        assert watcher.conditions == {}

    def test_of_a_job_that_the_route_is_not_about_is_not_reported(self) -> None:
        watcher = Watcher(match=Match(guest=frozenset({101})))
        assert watcher.look(NOW, statuses.lost(), events=[lost()]) == []
        assert watcher.conditions == {}


STEPS = st.lists(
    st.tuples(st.floats(-3600, 7200), st.lists(st.tuples(st.sampled_from([100, 101]), st.booleans()), max_size=4)),
    max_size=40,
)


@given(STEPS)
@example([(0.0, [(100, True)]), (0.0, [(101, True)]), (-2703.0, [])])
def test_every_lost_replica_that_was_reported_ends_in_exactly_one_all_clear_whatever_the_clock_does(
    steps: list[tuple[float, list[tuple[int, bool]]]],
) -> None:
    watcher, now, without = Watcher(), NOW, set[int]()
    ends = [
        (REPEAT_INTERVAL_SECONDS, [(100, False), (101, False)]),
        (REPEAT_INTERVAL_SECONDS + 1, []),
        (REPEAT_INTERVAL_SECONDS + 1, []),
        (REPEAT_INTERVAL_SECONDS + 1, []),
    ]
    for gap, happened in [*steps, *ends]:
        now += gap
        events: list[Event] = [lost(guest, now) if is_lost else well(guest, now) for guest, is_lost in happened]
        for guest, is_lost in happened:
            (without.add if is_lost else without.discard)(guest)
        jobs = [
            (statuses.lost if guest in without else statuses.healthy)(f"{guest}-0", now=now) for guest in (100, 101)
        ]
        watcher.look(now, *jobs, events=events)
    assert {name: condition for name, condition in watcher.conditions.items() if name.startswith("lost/")} == {}
    lost_jobs = [job.job for notice in watcher.reported if notice.kind is LOST for job in notice.subjects]
    back = [job.job for notice in watcher.reported if notice.kind is BACK for job in notice.subjects]
    assert sorted(lost_jobs) == sorted(back)


class TestVanishedVolumes:
    def notice(self, *events: Event, match: Match | None = None) -> Notice | None:
        status = statuses.status(statuses.healthy(), statuses.healthy("101-0"))
        found = vanished_notices(numbered(events), status, match or Match(), NoticeSource("alpha", "mail"))
        assert len(found) <= 1
        return found[0] if found else None

    def test_are_one_warning_with_every_replica_that_is_kept(self) -> None:
        notice = self.notice(gone("tank/vm-100-disk-1", "tank/vm-100-disk-2"), gone("tank/vm-101-disk-1", guest=101))
        assert notice is not None
        assert (notice.kind, notice.severity, notice.closes) == (
            NoticeKind.VOLUMES_VANISHED,
            Severity.WARNING,
            False,
        )
        assert [subject.guest for subject in notice.subjects] == [100, 101]
        assert notice.text.splitlines() == [
            "Job 100-0, on beta: tank/vm-100-disk-1",
            "Job 100-0, on beta: tank/vm-100-disk-2",
            "Job 101-0, on beta: tank/vm-101-disk-1",
        ]

    def test_are_counted_where_there_are_many(self) -> None:
        notice = self.notice(gone(*(f"tank/vm-100-disk-{number}" for number in range(LISTED + 3))))
        assert notice is not None
        assert notice.text.splitlines()[LISTED:] == ["and 3 more: zsr check"]

    def test_say_when_their_replica_is_destroyed(self) -> None:
        notice = self.notice(VolumesVanished(NOW, JobId(100, 0), 7, ("tank/a",), NOW + 7 * 86400))
        assert notice is not None
        assert notice.text == "Job 100-0, on beta: tank/a, destroyed in 7 days"

    def test_are_reported_again_a_day_before_their_grace_ends_and_when_it_has(self) -> None:
        status, job = statuses.status(statuses.healthy()), JobId(100, 0)
        events: list[Event] = [
            GraceEnding(NOW, job, 7, ("tank/a", "tank/b"), NOW + 86400),
            GraceEnded(NOW, job, 7, ("tank/c",)),
            GuestReplaced(NOW, job, 7, ("tank/d",)),
            SourceWentBack(NOW, job, 7, ("tank/f",), 3, NOW - 720),
            gone("tank/e"),
        ]
        found = vanished_notices(numbered(events), status, Match(), NoticeSource("alpha", "mail"))
        assert [(notice.kind, notice.severity) for notice in found] == [
            (NoticeKind.VOLUMES_VANISHED, Severity.WARNING),
            (NoticeKind.GRACE_ENDING, Severity.WARNING),
            (NoticeKind.GRACE_ENDED, Severity.INFO),
            (NoticeKind.GUEST_REPLACED, Severity.CRITICAL),
            (NoticeKind.SOURCE_WENT_BACK, Severity.CRITICAL),
        ]
        assert found[1].text.splitlines() == [
            "Job 100-0, on beta: tank/a, destroyed in 1 day",
            "Job 100-0, on beta: tank/b, destroyed in 1 day",
        ]
        assert found[4].text == "Job 100-0, on beta: tank/f, 3 sets newer than the source, the newest 12 minutes old"
        assert len({notice.key for notice in found}) == 5

    def test_of_jobs_that_are_not_wanted_or_not_there_are_not_reported(self) -> None:
        assert self.notice(gone("a"), match=Match(guest=frozenset({101}))) is None
        assert self.notice(gone("a", guest=999)) is None
        assert self.notice(lost(), well()) is None


@pytest.mark.parametrize("event", [lost(), gone("a")], ids=lambda event: type(event).__name__)
def test_others_of_the_same_cause_are_waited_for(event: Event) -> None:
    assert first_failure_time(numbered([well(at=NOW - 5), event])) == NOW
