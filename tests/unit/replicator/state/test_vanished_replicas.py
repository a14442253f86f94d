"""Vanished volumes: how long their replicas wait survives a restart, and each step is in the journal once."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from replicator.errors import ZsrError
from replicator.events import Event, GraceEnded, GraceEnding, GuestReplaced, SourceWentBack, VolumesVanished
from replicator.models import JobId, Vanished
from replicator.replication.grace_ends import AGAIN
from replicator.schedule.grace import Terms
from replicator.state.stores import State
from tests.support.state_records import DAY, JOB, NOW, gone, opened_state, records_of_run, refuse_events

ONE, TWO = "tank/vm-100-disk-1", "tank/vm-100-disk-2"
WEEK = Terms(7 * DAY)
AT_ONCE = Terms(0.0)
KINDS = VolumesVanished | GraceEnding | GraceEnded | GuestReplaced | SourceWentBack


@pytest.fixture
def state(path: Path) -> Iterator[State]:
    with opened_state(path) as opened:
        yield opened


def happened(state: State) -> list[Event]:
    return [event for _, event in state.journal.events(0) if isinstance(event, KINDS)]


def known(state: State) -> tuple[Vanished, ...]:
    return state.jobs.all()[JOB].vanished


async def see(
    state: State, found: Mapping[str, int], at: float = NOW, terms: Terms | None = None, **more: list[str]
) -> tuple[Vanished, ...]:
    """Let a run see volumes gone."""
    return tuple(await records_of_run(state, at=at, terms=terms).note_vanished(found, **more))


async def days_pass(state: State, days: int, terms: Terms = WEEK) -> None:
    for day in range(days):
        await see(state, {ONE: 1}, NOW + day * DAY, terms)


class TestAVolumeThatVanished:
    async def test_is_remembered_across_a_restart(self, path: Path) -> None:
        with closing(State.open(path)) as state:
            state.jobs.ensure(JOB, NOW)
            await see(state, {TWO: 2, ONE: 1})
        with closing(State.open(path)) as state:
            assert known(state) == gone(ONE, TWO)
            found = state.jobs.get(JOB)
            assert found is not None
            assert found.vanished == gone(ONE, TWO)

    async def test_is_in_the_journal_when_it_is_new_with_the_end_of_its_grace(self, state: State) -> None:
        await see(state, {ONE: 1})
        await see(state, {ONE: 1}, NOW + 900)
        await see(state, {ONE: 1, TWO: 2}, NOW + 1800, WEEK)

        assert happened(state) == [
            VolumesVanished(NOW, JOB, 7, (ONE,)),
            VolumesVanished(NOW + 1800, JOB, 7, (TWO,), NOW + 1800 + 7 * DAY),
        ]

    async def test_whose_replica_is_another_dataset_now_is_new(self, state: State) -> None:
        await see(state, {ONE: 1})
        await see(state, {ONE: 5}, NOW + 900)

        assert len(happened(state)) == 2
        assert known(state) == (Vanished(ONE, 5, NOW + 900, NOW + 900),)

    async def test_that_is_back_is_forgotten_without_an_event(self, state: State) -> None:
        await see(state, {ONE: 1, TWO: 2})
        await see(state, {TWO: 2}, NOW + 900, back=[ONE])
        await see(state, {}, NOW + 1800, back=[ONE, TWO])

        assert len(happened(state)) == 1
        assert known(state) == ()

    async def test_on_a_storage_that_cannot_be_read_keeps_its_record(self, state: State) -> None:
        """Its pool is gone: that is not the moment at which the alert may end, or at which time may count."""
        away = "pond/vm-100-disk-9"
        await see(state, {ONE: 1, away: 2})

        await see(state, {ONE: 1}, NOW + DAY, unread=["pond"])
        assert [(each.dataset, each.waited) for each in known(state)] == [(away, 0.0), (ONE, DAY)]
        await see(state, {ONE: 1}, NOW + DAY, unread=[])
        assert [each.dataset for each in known(state)] == [ONE]

    async def test_of_a_job_that_was_forgotten_meanwhile_does_not_bring_it_back(self, state: State) -> None:
        state.jobs.forget(JOB, NOW)
        await see(state, {ONE: 1}, NOW + 1)

        assert (state.jobs.all(), happened(state)) == ({}, [])

    async def test_goes_with_its_job(self, state: State) -> None:
        await see(state, {ONE: 1})
        state.jobs.forget(JOB, NOW)
        state.jobs.ensure(JOB, NOW)

        assert known(state) == ()

    async def test_stays_unknown_if_its_event_cannot_be_written(self, state: State) -> None:
        refuse_events(state)
        with pytest.raises(ZsrError):
            await see(state, {ONE: 1})

        assert known(state) == ()

    async def test_is_written_only_when_something_changes(self, state: State, path: Path) -> None:
        memory = records_of_run(state)
        await memory.note_vanished({TWO: 2, ONE: 1})
        with closing(sqlite3.connect(path)) as other:
            other.execute("DELETE FROM vanished_replicas")
            other.commit()
        await memory.note_vanished({ONE: 1, TWO: 2})

        assert known(state) == (), "the second call has written although nothing had changed"


class TestTheEndOfAGrace:
    async def test_is_announced_a_day_before_and_once(self, state: State) -> None:
        await days_pass(state, 7)

        assert happened(state)[1:] == [GraceEnding(NOW + 6 * DAY, JOB, 7, (ONE,), NOW + 7 * DAY)]
        assert not known(state)[0].ending

    async def test_is_begun_durably_before_anything_is_destroyed(self, state: State) -> None:
        await days_pass(state, 8)

        assert known(state)[0].ending

    async def test_is_in_the_journal_when_the_replica_is_destroyed(self, state: State) -> None:
        run = records_of_run(state, terms=AT_ONCE)
        await run.note_vanished({ONE: 1, TWO: 2})
        await run.note_graces_ended([ONE], {TWO: "it is mounted"})

        assert happened(state)[1:] == [GraceEnded(NOW, JOB, 7, (ONE,))]
        assert known(state) == (Vanished(TWO, 2, NOW, NOW, kept="it is mounted"),)

    async def test_is_in_the_journal_also_if_the_run_that_destroyed_it_died(self, state: State) -> None:
        await see(state, {ONE: 1}, terms=AT_ONCE)
        await see(state, {}, NOW + 900, AT_ONCE)

        assert happened(state)[1:] == [GraceEnded(NOW + 900, JOB, 7, (ONE,))]

    async def test_is_in_the_journal_also_if_a_command_failed_that_destroyed_it(self, state: State) -> None:
        """The connection may break after the order arrived."""
        run = records_of_run(state, terms=AT_ONCE)
        await run.note_vanished({ONE: 1, TWO: 2})
        await run.note_graces_ended([], {ONE: "the connection broke", TWO: "it is mounted"}, [ONE])
        await see(state, {}, NOW + 900, AT_ONCE)

        assert happened(state)[1:] == [GraceEnded(NOW + 900, JOB, 7, (ONE,))]

    async def test_is_not_claimed_of_a_volume_that_came_back_meanwhile(self, state: State) -> None:
        await see(state, {ONE: 1}, terms=AT_ONCE)
        await see(state, {}, NOW + 900, AT_ONCE, back=[ONE])

        assert len(happened(state)) == 1

    async def test_is_tried_again_after_an_hour_where_the_replica_had_to_stay(self, state: State) -> None:
        run = records_of_run(state, terms=AT_ONCE)
        await run.note_vanished({ONE: 1})
        await run.note_graces_ended([], {ONE: "it is mounted"})

        [soon] = await see(state, {ONE: 1}, NOW + 900, AT_ONCE)
        [later] = await see(state, {ONE: 1}, NOW + 3600, AT_ONCE)
        assert (soon.ending, later.ending) == (False, True)

    async def test_is_announced_again_when_what_kept_the_replica_is_over(self, state: State) -> None:
        await days_pass(state, 7)
        run = records_of_run(state, at=NOW + 7 * DAY, terms=WEEK)
        await run.note_vanished({ONE: 1})
        await run.note_graces_ended([], {ONE: "it continues elsewhere"})
        run = records_of_run(state, at=NOW + 99 * DAY, terms=WEEK)
        await run.note_vanished({ONE: 1})
        await run.note_graces_ended([], {ONE: AGAIN})

        [seen] = await see(state, {ONE: 1}, NOW + 99 * DAY + 60, WEEK)
        assert not seen.ending
        assert happened(state)[-1] == GraceEnding(NOW + 99 * DAY + 60, JOB, 7, (ONE,), NOW + 100 * DAY)

    async def test_is_not_begun_on_a_storage_that_cannot_be_read(self, state: State) -> None:
        """Nothing is known of what is there, and so nothing of it may be reported as destroyed later."""
        await days_pass(state, 8)
        await records_of_run(state, terms=WEEK).note_graces_ended([], {})
        [seen] = await see(state, {}, NOW + 9 * DAY, WEEK, unread=["tank"])
        assert not seen.ending
        await see(state, {}, NOW + 10 * DAY, WEEK)
        assert not any(isinstance(event, GraceEnded) for event in happened(state))

    async def test_of_a_job_that_was_forgotten_meanwhile_is_not_recorded(self, state: State) -> None:
        run = records_of_run(state, terms=AT_ONCE)
        await run.note_vanished({ONE: 1, TWO: 2})
        state.jobs.forget(JOB, NOW)
        await run.note_graces_ended([ONE], {})
        state.jobs.ensure(JOB, NOW)

        assert known(state) == ()


class TestAGuestThatWasReplaced:
    async def test_is_in_the_journal_once_for_the_same_volumes(self, state: State) -> None:
        for volumes in ([2, 1], [1, 2], [1, 3]):
            await records_of_run(state).note_replaced(volumes, [TWO, ONE])

        assert happened(state) == [GuestReplaced(NOW, JOB, 7, (ONE, TWO))] * 2

    async def test_has_the_time_at_which_a_run_last_found_it(self, state: State) -> None:
        assert [state.jobs.all()[JOB].replaced_at, state.jobs.all()[JOB].went_back_at] == [None, None]
        for volumes, at in ([1], NOW), ([1], NOW + 60), ([2], NOW + 120):
            await records_of_run(state, at=at).note_replaced(volumes, [ONE])
        await records_of_run(state, at=NOW + 180).note_went_back({ONE: (5,)})
        for known in (state.jobs.all()[JOB], state.jobs.get(JOB)):
            assert known is not None
            assert [known.replaced_at, known.went_back_at] == [NOW + 120, NOW + 180]

    async def test_is_forgotten_with_its_job(self, state: State) -> None:
        await records_of_run(state).note_replaced([1], [ONE])
        state.jobs.forget(JOB, NOW)
        state.jobs.ensure(JOB, NOW)
        assert state.jobs.all()[JOB].replaced_at is None

    async def test_of_an_unknown_job_is_not(self, state: State) -> None:
        state.jobs.set_replaced(JobId(999, 0), [1], [ONE], run=7, now=NOW)

        assert happened(state) == []


def test_a_state_that_did_not_change_is_the_same_object(state: State) -> None:
    state.vanished.set(JOB, gone(ONE), ends={}, run=7, now=NOW)
    first = state.jobs.all()[JOB]
    state.jobs.ensure(JobId(101, 0), NOW)
    assert state.jobs.all()[JOB] is first
    state.vanished.set(JOB, [replace(gone(ONE)[0], waited=5.0)], ends={}, run=7, now=NOW)
    assert state.jobs.all()[JOB] is not first


class TestASourceThatWentBack:
    async def test_is_in_the_journal_once_for_the_same_sets(self, state: State) -> None:
        for sets in ({ONE: (5, 7), TWO: (7,)}, {TWO: (7,), ONE: (5, 7)}, {ONE: (9,)}):
            await records_of_run(state).note_went_back(sets)

        assert happened(state) == [
            SourceWentBack(NOW, JOB, 7, (ONE, TWO), 2, 7.0),
            SourceWentBack(NOW, JOB, 7, (ONE,), 1, 9.0),
        ]


def test_a_replica_that_another_job_continues_is_forgotten_without_a_word(state: State) -> None:
    for job in (JOB, JobId(200, 0)):
        state.jobs.ensure(job, NOW)
        state.vanished.set(job, gone("tank/a", "tank/b"), ends={}, run=7, now=NOW)
    before = happened(state)
    state.vanished.continued(JOB, 1)
    left = {job: [each.dataset for each in found.vanished] for job, found in state.jobs.all().items()}
    assert left == {JOB: ["tank/b"], JobId(200, 0): ["tank/a", "tank/b"]}
    assert happened(state) == before
