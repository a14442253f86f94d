"""The moves of guests are counted once each, and the journal has them."""

from __future__ import annotations

import pytest

from replicator.api.moves import GuestMoves
from replicator.events import GuestMoved
from replicator.state import moves
from replicator.state.stores import State
from tests.support.state_records import JOB, NOW

MOVED = GuestMoved(NOW, JOB, "alpha", "beta", 2, 6.5, recovered=False)
RECOVERED = GuestMoved(NOW + 60, JOB, "beta", "alpha", 3, None, recovered=True)


def test_moves_and_recoveries_are_counted_and_the_last_one_is_known(state: State) -> None:
    state.moves.record(MOVED)
    assert state.moves.all() == (GuestMoves(JOB.guest, 1, 0, NOW, "alpha", "beta", 2, 6.5),)
    state.moves.record(RECOVERED)
    assert state.moves.all() == (GuestMoves(JOB.guest, 1, 1, NOW + 60, "beta", "alpha", 3, None),)
    assert [event for _, event in state.journal.events(0)] == [MOVED, RECOVERED]


def test_a_move_that_another_command_finishes_counts_once(state: State) -> None:
    state.moves.record(MOVED)
    state.moves.record(GuestMoved(NOW + 5, JOB, "alpha", "beta", 2, None, recovered=False))
    assert [(each.moved, each.downtime) for each in state.moves.all()] == [(1, 6.5)]
    assert len(state.journal.events(0)) == 1


def test_a_move_is_counted_only_with_its_entry_in_the_journal(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(moves, "record_event", fails)
    with pytest.raises(KeyboardInterrupt):
        state.moves.record(MOVED)
    assert state.moves.all() == ()
