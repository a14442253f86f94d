"""Job states: what runs and hands set, and what reading them costs."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from replicator.errors import ErrorClass
from replicator.events import JobRemoved
from replicator.models import JobId, KnownSets, Synced
from replicator.state.stores import State
from tests.support.state_records import DAY, JOB, NOW, fail, succeed


def test_forgetting_takes_one_job_leaves_its_logs_and_is_in_the_journal(state: State) -> None:
    other = JobId(101, 0)
    run = succeed(state, NOW)
    state.logs.append(run, [(NOW, "info", "words")])
    kept = succeed(state, NOW, job=other)

    state.jobs.forget(JOB, NOW + 60)

    assert list(state.jobs.all()) == [other]
    assert state.runs.newest(JOB) == []
    assert [each.id for each in state.runs.all(JOB)] == [run]
    assert len(state.logs.lines(run)) == 1
    assert state.runs.former_jobs() == [str(JOB)]
    assert [record.id for record in state.runs.newest(other)] == [kept]
    assert state.journal.events(0)[-1][1] == JobRemoved(NOW + 60, JOB)


def test_schedule_now_makes_due_and_leaves_failures_counted(state: State) -> None:
    fail(state, NOW)
    state.jobs.schedule_now(JOB)

    found = state.jobs.all()[JOB]
    assert (found.last_try, found.last_start, found.consecutive_failures) == (0.0, NOW, 1)


def test_a_job_begins_once(state: State) -> None:
    state.jobs.ensure(JOB, NOW)
    state.jobs.ensure(JOB, NOW + 99)

    assert state.jobs.all()[JOB].created == NOW


def test_what_did_not_change_is_the_very_same_object(state: State) -> None:
    state.jobs.ensure(JOB, NOW)
    state.jobs.ensure(JobId(101, 0), NOW)
    before = state.jobs.all()
    succeed(state, NOW)
    after = state.jobs.all()

    assert after[JobId(101, 0)] is before[JobId(101, 0)]
    assert after[JOB] is not before[JOB]
    assert after[JOB] == state.jobs.get(JOB)
    assert state.jobs.all()[JOB] is after[JOB]


def test_what_another_process_wrote_is_seen(state: State, path: Path) -> None:
    state.jobs.ensure(JOB, NOW)
    assert state.jobs.all()[JOB].missed_runs == 0
    with closing(sqlite3.connect(path)) as other, other:
        other.execute("UPDATE job_state SET missed_runs = 3")

    assert state.jobs.all()[JOB].missed_runs == 3


def test_an_error_that_is_counted_changes_its_jobs_state(state: State) -> None:
    state.jobs.ensure(JOB, NOW)
    assert state.jobs.all()[JOB].errors == ()
    fail(state, NOW)

    assert state.jobs.all()[JOB].errors == ((ErrorClass.NETWORK, 1),)
    assert state.jobs.get(JOB) == state.jobs.all()[JOB]


def test_the_dictionary_of_states_belongs_to_the_caller(state: State) -> None:
    state.jobs.ensure(JOB, NOW)
    state.jobs.all().clear()

    assert list(state.jobs.all()) == [JOB]


def test_a_job_that_is_not_remembered_has_no_state(state: State) -> None:
    assert state.jobs.get(JOB) is None


def test_sizes_that_did_not_change_are_not_written(state: State) -> None:
    state.jobs.ensure(JOB, NOW)
    state.jobs.set_unreplicated({JOB: 5})
    before = state.jobs.all()[JOB]
    state.jobs.set_unreplicated({JOB: 5})

    assert before.unreplicated_bytes == 5
    assert state.jobs.all()[JOB] is before
    state.jobs.set_unreplicated({JOB: None})
    assert state.jobs.all()[JOB].unreplicated_bytes is None


def test_a_job_of_another_engine_keeps_its_id(path: Path) -> None:
    observed = JobId(0, 0, "zfs", "tank/data")
    with closing(State.open(path)) as state:
        state.runs.begin(observed, NOW, owner="another process", missed=0)
    with closing(State.open(path)) as state:
        assert list(state.jobs.all()) == [observed]
        assert [run.job for run in state.runs.unfinished()] == [observed]


class TestMissedSlots:
    def test_do_not_count_before_the_first_run(self, state: State) -> None:
        state.jobs.ensure(JOB, NOW)
        state.jobs.count_slots({JOB: "*/15"}, NOW)
        assert state.jobs.all()[JOB].slots_from == 0

    def test_count_from_the_last_start(self, state: State) -> None:
        succeed(state, NOW)
        state.jobs.count_slots({JOB: "*/15"}, NOW + 60)
        assert state.jobs.all()[JOB].slots_from == NOW

    def test_do_not_count_while_disabled_and_start_over_afterwards(self, state: State) -> None:
        succeed(state, NOW)
        state.jobs.count_slots({JOB: "*/15"}, NOW)
        state.jobs.count_slots({JOB: None}, NOW + 60)
        assert state.jobs.all()[JOB].slots_from == 0
        state.jobs.count_slots({JOB: "*/15"}, NOW + 7 * DAY)
        assert state.jobs.all()[JOB].slots_from == NOW + 7 * DAY

    def test_start_over_with_another_schedule(self, state: State) -> None:
        succeed(state, NOW)
        state.jobs.count_slots({JOB: "daily"}, NOW)
        state.jobs.count_slots({JOB: "*/1"}, NOW + 3600)
        assert state.jobs.all()[JOB].slots_from == NOW + 3600


BIG = 2**64 - 5
"""A GUID that SQLite's integers cannot hold."""


def sent(state: State, job: JobId) -> frozenset[int]:
    """The GUIDs of what a job brought to its target."""
    return state.jobs.with_sent(job, KnownSets()).sent


def test_of_what_was_sent_the_snapshots_of_another_tool_are_known(state: State) -> None:
    state.jobs.ensure(JOB, NOW)
    gone = ((BIG, 5.0, 60.0),)
    known = KnownSets(
        sent=frozenset({1, 2, 3}), carried=frozenset({2}), inherited=frozenset({4, BIG}), gone=gone, asides=gone
    )
    state.jobs.set_synced(JOB, Synced(sets=known), run=1, now=NOW)
    found = state.jobs.get(JOB)
    assert found is not None
    assert state.jobs.with_sent(JOB, found.sets) == known

    state.jobs.take_over(JOB, (), {2}, NOW)
    assert state.jobs.with_sent(JOB, KnownSets()).carried == frozenset()


def test_what_was_sent_is_remembered_by_guid_for_each_job(state: State, path: Path) -> None:
    other = JobId(101, 0)
    for job, guids in ((JOB, {1, BIG}), (other, {1})):
        state.jobs.ensure(job, NOW)
        state.jobs.set_synced(job, Synced(sets=KnownSets(sent=frozenset(guids))), run=1, now=NOW)
    state.jobs.set_synced(JOB, Synced(sets=KnownSets(sent=frozenset({BIG, 3}))), run=2, now=NOW)

    with closing(State.open(path)) as again:
        assert (sent(again, JOB), sent(again, other)) == (frozenset({BIG, 3}), frozenset({1}))


def test_what_a_person_destroyed_is_forgotten_for_that_job_only(state: State) -> None:
    other = JobId(101, 0)
    for job in (JOB, other):
        state.jobs.ensure(job, NOW)
        state.jobs.set_synced(job, Synced(sets=KnownSets(sent=frozenset({1, BIG}))), run=1, now=NOW)
    state.jobs.forget_sent(JOB, [BIG, 7])
    assert (sent(state, JOB), sent(state, other)) == (frozenset({1}), frozenset({1, BIG}))


def test_a_forgotten_job_has_sent_nothing(state: State) -> None:
    state.jobs.ensure(JOB, NOW)
    state.jobs.set_synced(JOB, Synced(sets=KnownSets(sent=frozenset({1}))), run=1, now=NOW)
    state.jobs.forget(JOB, NOW + 60)
    assert sent(state, JOB) == frozenset()


def test_what_a_person_takes_over_is_the_jobs_own_and_nothing_else_changes(state: State) -> None:
    run = succeed(state, NOW)
    state.jobs.set_synced(JOB, Synced(NOW, 5, KnownSets(5, ("a",), (5,), frozenset({1}))), run=run, now=NOW)
    for _ in range(2):
        state.jobs.take_over(JOB, {3}, {1, BIG}, NOW)

    assert state.jobs.all()[JOB].sets == KnownSets(5, ("a",), (3, 5))
    assert sent(state, JOB) == {1, BIG}
