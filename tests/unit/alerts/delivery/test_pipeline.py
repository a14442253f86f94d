"""The pipeline from journal and status to the outbox of one target: lost replicas, vanished volumes, frozen guests."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC

from alerts.delivery.pipeline import PipelineInput, process_events
from alerts.delivery.store import TargetState, key_of, load_state, state_json
from alerts.grouping.conditions import REPEAT_INTERVAL_SECONDS, REPORT_AFTER_SECONDS
from alerts.notice import Notice, NoticeKind, Severity
from alerts.routing.quiet_hours import Window
from alerts.routing.routes import Match, Quiet, Route
from replicator.api.job_status import JobStatus
from replicator.events import Event, GuestFrozen, GuestThawed, ReplicaLost, RunSucceeded, VolumesVanished
from replicator.models import JobId
from tests.support import statuses

NOW, DAY = statuses.NOW, statuses.DAY  # 2027-01-15 08:00:00 UTC
JOB = JobId(100, 0)


def lost(at: float = NOW) -> ReplicaLost:
    return ReplicaLost(at, JOB, 7, last_sync=at - 600)


def well(at: float) -> RunSucceeded:
    return RunSucceeded(at, JOB, 8, at - 20, 20.0, 1000)


@dataclass
class Target:
    """A target whose pipeline runs on events and a status; its state is stored and loaded in between."""

    route: Route = field(default_factory=Route)
    state: TargetState = field(default_factory=lambda: TargetState(0, reminded=NOW, digested=NOW))
    number: int = 0

    def look(self, now: float, *jobs: JobStatus, events: tuple[Event, ...] = ()) -> list[NoticeKind]:
        """The kinds of the messages that are in the outbox then and were not before."""
        memory = statuses.FakeMemory()
        numbered = list(enumerate(events, start=self.number + 1))
        self.number += len(events)
        before = len(self.state.outbox)
        given = PipelineInput("mail", self.route, statuses.status(*jobs, now=now), UTC)
        state = process_events(numbered, self.state, given)
        memory.put(key_of("mail"), state_json(state))
        loaded = load_state(memory, "mail")
        assert loaded == state
        self.state = state
        return [entry.notice.kind for entry in state.outbox[before:]]

    @property
    def last(self) -> Notice:
        return self.state.outbox[-1].notice


class TestALostReplica:
    def test_is_a_critical_message_at_once_and_an_all_clear_when_it_is_whole(self) -> None:
        target = Target()
        assert target.look(NOW, statuses.lost(), events=(lost(),)) == [NoticeKind.REPLICA_LOST]
        assert target.last.severity is Severity.CRITICAL
        assert target.look(NOW + REPORT_AFTER_SECONDS, statuses.lost()) == []
        whole = statuses.healthy(now=NOW + 900)
        assert target.look(NOW + 900, whole, events=(well(NOW + 900),)) == [NoticeKind.REPLICA_BACK]

    def test_that_a_route_does_not_want_is_reported_as_a_broken_promise_to_one_that_wants_those(self) -> None:
        target = Target(Route(Match(event=frozenset({NoticeKind.RPO_BREACHED}))))
        assert target.look(NOW, statuses.lost(), events=(lost(),)) == []
        assert target.look(NOW + REPORT_AFTER_SECONDS, statuses.lost()) == [NoticeKind.RPO_BREACHED]

    def test_that_a_route_does_not_want_has_no_all_clear_and_is_forgotten(self) -> None:
        target = Target(Route(Match(severity=frozenset({Severity.WARNING}))))
        assert target.look(NOW, statuses.lost(), events=(lost(),)) == []
        whole = statuses.healthy(now=NOW + 900)
        assert target.look(NOW + 900, whole, events=(well(NOW + 900),)) == []
        assert target.look(NOW + 960, whole) == []
        assert target.state.conditions == {}

    def test_in_hours_in_which_all_is_dropped_is_reported_after_them_if_it_lasts(self) -> None:
        night = Quiet(Window.parse("07:00-09:00"), drop=True)
        target = Target(Route(quiet=night))
        assert target.look(NOW, statuses.lost(), events=(lost(),)) == []
        assert target.look(NOW + 3700, statuses.lost()) == [NoticeKind.REPLICA_LOST]

    def test_is_in_the_reminder_of_the_next_morning_while_it_lasts(self) -> None:
        target = Target()
        target.look(NOW + REPEAT_INTERVAL_SECONDS, statuses.lost(), events=(lost(),))
        assert target.look(NOW + DAY + 60, statuses.lost(now=NOW + DAY)) == [NoticeKind.STILL_FAILING]
        assert (target.last.severity, [each.lost for each in target.last.subjects]) == (Severity.CRITICAL, [True])

    def test_is_in_no_reminder_when_its_job_is_switched_off(self) -> None:
        target, off = Target(), statuses.lost()
        target.look(NOW + REPEAT_INTERVAL_SECONDS, off, events=(lost(),))
        off = replace(off, job=replace(off.job, disabled=True), transfer=None)
        assert target.look(NOW + DAY + 60, off) == []


class TestVanishedVolumes:
    EVENT = VolumesVanished(NOW, JOB, 7, ("tank/vm-100-disk-1",))

    def test_are_a_message_at_once_and_once(self) -> None:
        target = Target()
        assert target.look(NOW, statuses.healthy(), events=(self.EVENT,)) == [NoticeKind.VOLUMES_VANISHED]
        assert target.last.text == "Job 100-0, on beta: tank/vm-100-disk-1"
        assert target.look(NOW + 60, statuses.healthy()) == []

    def test_go_to_a_route_that_wants_them_and_to_no_other(self) -> None:
        wants = Target(Route(Match(event=frozenset({NoticeKind.VOLUMES_VANISHED}))))
        other = Target(Route(Match(severity=frozenset({Severity.CRITICAL}))))
        assert wants.look(NOW, statuses.healthy(), events=(self.EVENT,)) == [NoticeKind.VOLUMES_VANISHED]
        assert other.look(NOW, statuses.healthy(), events=(self.EVENT,)) == []


class TestAFrozenGuest:
    FROZEN = GuestFrozen(NOW, JOB, 7, NOW - 70, "The thaw hook of guest 100 failed: no agent.", "thaw-web")

    def test_is_a_critical_message_at_once_and_an_all_clear_when_it_is_thawed(self) -> None:
        target, well_now = Target(), statuses.healthy()
        assert target.look(NOW, well_now, events=(self.FROZEN,)) == [NoticeKind.GUEST_FROZEN]
        assert target.last.severity is Severity.CRITICAL
        assert target.look(NOW + 60, well_now) == []
        assert target.look(NOW + 90, well_now, events=(GuestThawed(NOW + 90, JOB, 7, NOW - 70),)) == [
            NoticeKind.GUEST_THAWED
        ]

    def test_in_hours_in_which_all_is_dropped_is_reported_after_them_with_the_command(self) -> None:
        target = Target(Route(quiet=Quiet(Window.parse("07:00-09:00"), drop=True)))
        assert target.look(NOW, statuses.healthy(), events=(self.FROZEN,)) == []
        assert target.look(NOW + 3700, statuses.healthy(now=NOW + 3700)) == [NoticeKind.GUEST_FROZEN]
        assert "thaw-web" in target.last.text

    def test_that_a_route_does_not_want_has_no_all_clear(self) -> None:
        target = Target(Route(Match(severity=frozenset({Severity.WARNING}))))
        assert target.look(NOW, statuses.healthy(), events=(self.FROZEN,)) == []
        assert target.look(NOW + 90, statuses.healthy(), events=(GuestThawed(NOW + 90, JOB, 7, NOW - 70),)) == []
        assert target.look(NOW + 180, statuses.healthy()) == []
        assert target.state.conditions == {}
