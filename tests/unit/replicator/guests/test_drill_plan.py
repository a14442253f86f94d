"""When guests are drilled, and since when a drill that passes is awaited."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from replicator.api.drills import LONGEST_WITHOUT_SECONDS, GuestDrills
from replicator.cluster.model import Cluster
from replicator.guests.drill_plan import RETRY_SECONDS, due_drills, guest_drills, next_drill
from replicator.job_choices import Removal
from replicator.models import DrillResult, Guest, Job, JobId, Node
from replicator.state.drills import KnownDrill

SUNDAY = datetime(2027, 1, 17, 2, tzinfo=UTC).timestamp()
DAY, WEEK = 86400.0, 7 * 86400.0
TUESDAY = SUNDAY - 5 * DAY
WEB = Guest(100, "web", "alpha", drill="sun 02:00")
JOB = Job(JobId(100, 0), "beta")
KNOWN = KnownDrill(100, "beta", JOB.id, since=TUESDAY, schedule="sun 02:00", scheduled=TUESDAY)


def cluster(*guests: Guest, job: Job = JOB, beta: Node | None = None) -> Cluster:
    nodes = {"alpha": Node("alpha", "local"), "beta": beta or Node("beta", "10.0.0.2")}
    return Cluster(nodes, {}, {guest.id: guest for guest in guests}, {job.id: job})


def due(now: float, known: KnownDrill = KNOWN, of: Cluster | None = None) -> list[JobId]:
    found = due_drills(of or cluster(WEB), "alpha", {(known.guest, known.node): known}, UTC, now)
    return [job.id for job in found]


def test_a_new_schedule_begins_with_its_next_event() -> None:
    assert next_drill(WEB, KNOWN, UTC, TUESDAY) == SUNDAY
    assert due(SUNDAY - 1) == []
    assert due(SUNDAY) == [JOB.id]


def test_also_of_a_guest_that_was_drilled_by_hand_long_ago() -> None:
    assert next_drill(WEB, replace(KNOWN, last_try=TUESDAY - 300 * DAY), UTC, TUESDAY) == SUNDAY


def test_one_that_was_missed_is_made_up_for() -> None:
    assert due(SUNDAY + 3 * DAY, replace(KNOWN, last_try=SUNDAY - WEEK)) == [JOB.id]
    assert due(SUNDAY + 3 * DAY, replace(KNOWN, last_try=SUNDAY + 5)) == []


def test_one_that_could_not_be_done_is_tried_again_sooner() -> None:
    undone = replace(KNOWN, last_try=SUNDAY, obstacle="no answer")
    assert next_drill(WEB, undone, UTC, SUNDAY + 60) == SUNDAY + RETRY_SECONDS


def test_one_that_failed_waits_for_its_next_time() -> None:
    failed = replace(KNOWN, last_try=SUNDAY, result=DrillResult.FAILED)
    assert next_drill(WEB, failed, UTC, SUNDAY + 60) == SUNDAY + WEEK


def test_a_time_in_the_future_holds_nothing_up() -> None:
    assert next_drill(WEB, replace(KNOWN, last_try=SUNDAY + 900 * DAY), UTC, TUESDAY) == SUNDAY


def test_nothing_is_due_without_a_schedule_on_another_node_or_for_a_job_that_is_off() -> None:
    late = SUNDAY + DAY
    assert due(late, of=cluster(replace(WEB, drill=None))) == []
    assert due(late, of=cluster(replace(WEB, node="beta"), job=replace(JOB, target="alpha"))) == []
    assert due(late, of=cluster(WEB, job=replace(JOB, disabled=True))) == []
    assert due(late, of=cluster(WEB, job=replace(JOB, removal=Removal.FULL))) == []
    assert due(late, of=cluster(WEB, beta=Node("beta", "10.0.0.2", disabled=True))) == []


def shown(guest: Guest, known: KnownDrill, now: float = SUNDAY) -> GuestDrills | None:
    return next(iter(guest_drills(cluster(guest), "alpha", [known], UTC, now)), None)


def test_only_guests_with_a_schedule_or_a_drill_are_shown() -> None:
    unscheduled = replace(WEB, drill=None)
    never = replace(KNOWN, schedule=None, scheduled=None)
    assert shown(unscheduled, never) is None
    assert shown(unscheduled, replace(never, last_try=TUESDAY)) is not None
    assert shown(WEB, KNOWN) is not None


class TestADrillThatPasses:
    def awaited(self, guest: Guest, known: KnownDrill, now: float) -> bool:
        found = shown(guest, known, now)
        assert found is not None
        return found.is_overdue(now)

    def test_is_awaited_for_30_days_after_the_last_one(self) -> None:
        passed = replace(KNOWN, last_try=SUNDAY, last_pass=SUNDAY)
        assert not self.awaited(WEB, passed, SUNDAY + LONGEST_WITHOUT_SECONDS)
        assert self.awaited(WEB, passed, SUNDAY + LONGEST_WITHOUT_SECONDS + 1)

    def test_is_awaited_since_there_is_a_schedule(self) -> None:
        assert not self.awaited(WEB, KNOWN, TUESDAY + LONGEST_WITHOUT_SECONDS)
        assert self.awaited(WEB, KNOWN, TUESDAY + LONGEST_WITHOUT_SECONDS + 1)

    def test_is_awaited_longer_with_a_rare_schedule(self) -> None:
        quarterly = replace(WEB, drill="*-1,4,7,10-1 03:00")
        passed = replace(KNOWN, last_try=SUNDAY, last_pass=SUNDAY)
        assert not self.awaited(quarterly, passed, SUNDAY + 120 * DAY)
        assert self.awaited(quarterly, passed, SUNDAY + 150 * DAY)

    def test_is_not_awaited_where_a_person_wants_none(self) -> None:
        off = replace(WEB, drill=None, drill_off=True)
        assert not self.awaited(off, replace(KNOWN, last_try=SUNDAY, last_pass=SUNDAY), SUNDAY + 900 * DAY)
