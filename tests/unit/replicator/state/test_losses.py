"""What a run found gone: written with its event in one transaction, once, and read back after a restart."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from replicator.api.event_codec import from_json, to_json
from replicator.daemon.run_worker import _Remembered
from replicator.errors import ZsrError
from replicator.events import ReplicaLost, RunSucceeded, VolumesVanished
from replicator.models import JobId, JobState, Synced
from replicator.state.stores import State

NOW = 1_800_000_000.0
JOB = JobId(100, 0)
ONE, TWO = "tank/vm-100-disk-1", "tank/vm-100-disk-2"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


@pytest.fixture
def state(path: Path) -> Iterator[State]:
    with closing(State.open(path)) as opened:
        opened.jobs.ensure(JOB, NOW)
        yield opened


def happened(state: State) -> list[object]:
    return [event for _, event in state.journal.events(0) if isinstance(event, ReplicaLost | VolumesVanished)]


class TestAVanishedReplicaOnAStorageThatCannotBeRead:
    async def test_is_still_reported(self, state: State) -> None:
        """Its pool is gone: that is not the moment at which the alert may end."""
        state.jobs.set_vanished(JOB, [ONE, "pond/vm-100-disk-9"], run=7, now=NOW)
        noted = _Remembered(state, JOB, 7, lambda: NOW, Synced(), False, (ONE, "pond/vm-100-disk-9"))

        await noted.note_vanished([ONE], ["pond"])
        assert state.jobs.all()[JOB].vanished == ("pond/vm-100-disk-9", ONE)
        await noted.note_vanished([ONE], [])
        assert state.jobs.all()[JOB].vanished == (ONE,)


class TestALastSyncThatIsTakenBack:
    def test_is_in_the_journal_with_what_was_lost(self, state: State) -> None:
        state.jobs.set_synced(JOB, Synced(NOW, int(NOW)), run=7, now=NOW + 5)
        state.jobs.set_synced(JOB, Synced(), run=8, now=NOW + 900)

        assert happened(state) == [ReplicaLost(NOW + 900, JOB, 8, last_sync=NOW)]
        assert state.jobs.all()[JOB].last_sync is None

    def test_to_an_older_one_is_no_loss(self, state: State) -> None:
        state.jobs.set_synced(JOB, Synced(NOW, int(NOW)), run=7, now=NOW + 5)
        state.jobs.set_synced(JOB, Synced(NOW - 900, int(NOW - 900)), run=8, now=NOW + 900)

        assert happened(state) == []

    def test_is_reported_once_however_often_nothing_is_found(self, state: State) -> None:
        state.jobs.set_synced(JOB, Synced(), run=6, now=NOW)
        state.jobs.set_synced(JOB, Synced(NOW, int(NOW)), run=7, now=NOW + 5)
        for run in (8, 9):
            state.jobs.set_synced(JOB, Synced(), run=run, now=NOW + 900 * run)

        assert len(happened(state)) == 1

    def test_stays_if_its_event_cannot_be_written(self, state: State) -> None:
        state.jobs.set_synced(JOB, Synced(NOW, int(NOW)), run=7, now=NOW + 5)
        state.database._connection.execute("DROP TABLE journal")
        with pytest.raises(ZsrError):
            state.jobs.set_synced(JOB, Synced(), run=8, now=NOW + 900)

        assert state.jobs.all()[JOB].last_sync == NOW


class TestVanishedVolumes:
    def test_are_remembered_across_a_restart(self, path: Path) -> None:
        with closing(State.open(path)) as state:
            state.jobs.ensure(JOB, NOW)
            state.jobs.set_vanished(JOB, [TWO, ONE], run=7, now=NOW)
        with closing(State.open(path)) as state:
            assert state.jobs.all()[JOB].vanished == (ONE, TWO)
            found = state.jobs.get(JOB)
            assert found is not None
            assert found.vanished == (ONE, TWO)

    def test_are_in_the_journal_when_they_are_new_and_only_those(self, state: State) -> None:
        state.jobs.set_vanished(JOB, [ONE], run=7, now=NOW)
        state.jobs.set_vanished(JOB, [ONE], run=8, now=NOW + 900)
        state.jobs.set_vanished(JOB, [ONE, TWO], run=9, now=NOW + 1800)

        assert happened(state) == [
            VolumesVanished(NOW, JOB, 7, (ONE,)),
            VolumesVanished(NOW + 1800, JOB, 9, (TWO,)),
        ]

    def test_that_are_back_are_forgotten_without_an_event(self, state: State) -> None:
        state.jobs.set_vanished(JOB, [ONE, TWO], run=7, now=NOW)
        state.jobs.set_vanished(JOB, [TWO], run=8, now=NOW + 900)
        state.jobs.set_vanished(JOB, [], run=9, now=NOW + 1800)

        assert len(happened(state)) == 1
        assert state.jobs.all()[JOB].vanished == ()

    def test_of_a_job_that_was_forgotten_meanwhile_do_not_bring_it_back(self, state: State) -> None:
        state.jobs.forget(JOB, NOW)
        state.jobs.set_vanished(JOB, [ONE], run=7, now=NOW + 1)

        assert (state.jobs.all(), happened(state)) == ({}, [])

    def test_stay_as_they_were_if_their_event_cannot_be_written(self, state: State) -> None:
        state.database._connection.execute("DROP TABLE journal")
        with pytest.raises(ZsrError):
            state.jobs.set_vanished(JOB, [ONE], run=7, now=NOW)

        assert state.jobs.all()[JOB].vanished == ()


class TestARunsMemory:
    def remembered(self, state: State) -> _Remembered:
        return _Remembered(state, JOB, 7, lambda: NOW, Synced(NOW - 60, 1), False, ())

    def test_writes_vanished_volumes_in_any_order_and_only_when_they_change(self, state: State, path: Path) -> None:
        memory = self.remembered(state)
        asyncio.run(memory.note_vanished([TWO, ONE]))
        with closing(sqlite3.connect(path)) as other:
            other.execute("UPDATE job_state SET vanished = NULL")
            other.commit()
        asyncio.run(memory.note_vanished((ONE, TWO)))

        assert state.jobs.all()[JOB].vanished == (), "the second call has written although nothing had changed"
        assert happened(state) == [VolumesVanished(NOW, JOB, 7, (ONE, TWO))]

    def test_records_a_lost_replica_with_its_own_run(self, state: State) -> None:
        state.jobs.set_synced(JOB, Synced(NOW - 60, 1), run=6, now=NOW - 50)
        asyncio.run(self.remembered(state).note_synced(Synced()))

        assert happened(state) == [ReplicaLost(NOW, JOB, 7, NOW - 60)]


@pytest.mark.parametrize(
    ("succeeded", "last_sync", "lost"), [(0, None, False), (0, 5.0, False), (3, 5.0, False), (3, None, True)]
)
def test_a_replica_is_lost_where_there_was_a_success_and_no_copy_is_left(
    succeeded: int, last_sync: float | None, lost: bool
) -> None:
    assert JobState(NOW, last_sync=last_sync, runs_succeeded=succeeded).is_replica_lost is lost


def test_a_success_ends_the_loss(state: State) -> None:
    for at in (NOW, NOW + 900):
        run = state.runs.begin(JOB, at, owner="another process", missed=0)
        state.runs.finish(RunSucceeded(at + 5, JOB, run, at, 5.0, 10), start=at, sent_bytes=10)
        if at == NOW:
            state.jobs.set_synced(JOB, Synced(), run=run, now=at + 60)
            assert state.jobs.all()[JOB].is_replica_lost

    assert not state.jobs.all()[JOB].is_replica_lost


@pytest.mark.parametrize(
    "event",
    [ReplicaLost(NOW, JOB, 7, NOW - 60), VolumesVanished(NOW, JOB, 7, (ONE, TWO))],
    ids=lambda e: type(e).__name__,
)
def test_an_event_comes_back_from_the_journal_as_it_was(event: ReplicaLost | VolumesVanished) -> None:
    assert from_json(*to_json(event)) == event
