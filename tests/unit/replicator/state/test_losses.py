"""What a run found lost: written with its event in one transaction, once, and read back after a restart."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from replicator.api.event_codec import from_json, to_json
from replicator.errors import ZsrError
from replicator.events import Event, GraceEnded, GraceEnding, GuestReplaced, ReplicaLost, RunSucceeded, VolumesVanished
from replicator.models import JobState, Synced
from replicator.state.stores import State
from tests.support.state_records import JOB, NOW, opened_state, records_of_run, refuse_events

ONE, TWO = "tank/vm-100-disk-1", "tank/vm-100-disk-2"


@pytest.fixture
def state(path: Path) -> Iterator[State]:
    with opened_state(path) as opened:
        yield opened


def happened(state: State) -> list[object]:
    return [event for _, event in state.journal.events(0) if isinstance(event, ReplicaLost)]


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
        refuse_events(state)
        with pytest.raises(ZsrError):
            state.jobs.set_synced(JOB, Synced(), run=8, now=NOW + 900)

        assert state.jobs.all()[JOB].last_sync == NOW


def test_a_run_records_a_lost_replica_with_its_own_number(state: State) -> None:
    state.jobs.set_synced(JOB, Synced(NOW - 60, 1), run=6, now=NOW - 50)
    asyncio.run(records_of_run(state).note_synced(Synced()))

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
    [
        ReplicaLost(NOW, JOB, 7, NOW - 60),
        VolumesVanished(NOW, JOB, 7, (ONE, TWO)),
        VolumesVanished(NOW, JOB, 7, (ONE,), NOW + 600),
        GraceEnding(NOW, JOB, 7, (ONE, TWO), NOW + 600),
        GraceEnded(NOW, JOB, 7, (ONE,)),
        GuestReplaced(NOW, JOB, 7, (ONE,)),
    ],
    ids=lambda e: type(e).__name__,
)
def test_an_event_comes_back_from_the_journal_as_it_was(event: Event) -> None:
    assert from_json(*to_json(event)) == event
