"""Another target than before: which facts go with the old one, and since when the promise counts then."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from replicator.events import ReplicaLost
from replicator.models import JobId, JobState, KnownSets, Synced, TargetPlace, TargetStorage
from replicator.state.stores import State
from tests.support.state_records import gone, records_of_run, succeed

NOW = 1_800_000_000.0
JOB = JobId(100, 0)
BETA = TargetPlace("beta", "10.0.0.12", (TargetStorage("tank", "tank/data", 2**63 + 1),))
GAMMA = TargetPlace("gamma", "10.0.0.13", (TargetStorage("tank", "tank/data", 7),), held=False)
VANISHED = gone("tank/data/vm-100-disk-1")
NOTHING = Synced(sets=KnownSets(taken=(1, 2), elsewhere=2), place=GAMMA)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    """A job with a copy on beta, a vanished volume there, and a half-received state."""
    with closing(State.open(tmp_path / "state.db")) as state:
        state.jobs.ensure(JOB, NOW - 86400)
        run = succeed(state, NOW)
        state.jobs.set_synced(JOB, Synced(NOW + 1, int(NOW), place=BETA), run=run, now=NOW + 5)
        state.vanished.set(JOB, VANISHED, ends={}, run=run, now=NOW + 5)
        state.jobs.set_resume_pending(JOB, True)
        yield state


def found(state: State) -> JobState:
    return state.jobs.all()[JOB]


def losses(state: State) -> list[object]:
    return [event for _, event in state.journal.events(0) if isinstance(event, ReplicaLost)]


def test_the_place_comes_back_as_it_was(state: State) -> None:
    assert found(state).place == BETA


class TestATargetThatWasEdited:
    def test_takes_nothing_over_of_the_old_one(self, state: State) -> None:
        state.jobs.set_target(JOB, NOTHING, replaced=False, run=2, now=NOW + 900)

        after = found(state)
        assert (after.last_sync, after.last_set, after.sets, after.place) == (None, None, NOTHING.sets, GAMMA)
        assert (after.vanished, after.resume_pending) == ((), False)

    def test_has_lost_nothing(self, state: State) -> None:
        state.jobs.set_target(JOB, NOTHING, replaced=False, run=2, now=NOW + 900)

        assert (losses(state), found(state).is_replica_lost) == ([], False)

    def test_is_promised_a_copy_since_the_last_sync_on_the_old_one(self, state: State) -> None:
        state.jobs.set_target(JOB, NOTHING, replaced=False, run=2, now=NOW + 900)

        assert found(state).created == NOW + 1

    def test_begins_with_what_zfs_shows_there(self, state: State) -> None:
        back = Synced(NOW - 900, int(NOW - 900), place=replace(GAMMA, held=True))
        state.jobs.set_target(JOB, back, replaced=False, run=2, now=NOW + 900)

        assert (found(state).last_sync, losses(state)) == (NOW - 900, [])

    def test_can_lose_what_was_proven_there_later(self, state: State) -> None:
        state.jobs.set_target(JOB, NOTHING, replaced=False, run=2, now=NOW + 900)
        held = Synced(NOW + 960, int(NOW + 960), place=replace(GAMMA, held=True))
        state.jobs.set_synced(JOB, held, run=2, now=NOW + 960)
        state.jobs.set_synced(JOB, replace(held, last_sync=None, last_set=None), run=3, now=NOW + 1800)

        assert found(state).is_replica_lost
        assert losses(state) == [ReplicaLost(NOW + 1800, JOB, 3, NOW + 960)]


class TestATargetThatWasReplaced:
    def test_has_lost_its_copy(self, state: State) -> None:
        state.jobs.set_target(
            JOB, replace(NOTHING, place=replace(GAMMA, held=True)), replaced=True, run=2, now=NOW + 900
        )

        assert found(state).is_replica_lost
        assert losses(state) == [ReplicaLost(NOW + 900, JOB, 2, NOW + 1)]
        assert found(state).created == NOW - 86400

    def test_has_lost_nothing_where_its_pool_holds_a_copy(self, state: State) -> None:
        other = Synced(NOW - 900, int(NOW - 900), place=replace(GAMMA, held=True))
        state.jobs.set_target(JOB, other, replaced=True, run=2, now=NOW + 900)

        assert (losses(state), found(state).last_sync) == ([], NOW - 900)


def test_a_job_that_was_forgotten_meanwhile_does_not_come_back(state: State) -> None:
    state.jobs.forget(JOB, NOW)
    state.jobs.set_target(JOB, NOTHING, replaced=True, run=2, now=NOW + 900)

    assert (state.jobs.all(), losses(state)) == ({}, [])


def test_a_run_that_found_another_target_notes_its_volumes_and_its_half_received_state_anew(state: State) -> None:
    memory = records_of_run(state)
    asyncio.run(memory.note_other_target(NOTHING, replaced=False))
    asyncio.run(memory.note_vanished({"tank/data/vm-100-disk-1": 1}))
    asyncio.run(memory.note_resume_pending(True))

    assert found(state).vanished == VANISHED
    assert found(state).resume_pending
    assert memory.synced == NOTHING
