"""The journal: read in order, kept for plugins that lag behind, and no longer."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from replicator.api.plugin import READ_TO
from replicator.common.history import Retention
from replicator.events import RunFailed, RunStarted, RunSucceeded
from replicator.state.pruning import JOURNAL_KEPT, JOURNAL_MOST
from replicator.state.stores import State
from tests.support.state_records import JOB, NOW, fail, succeed


class TestJournal:
    def test_is_read_in_order_from_where_one_stopped(self, state: State) -> None:
        first = succeed(state, NOW)
        second = fail(state, NOW + 900)
        events = state.journal.events(0)
        assert [(type(event), getattr(event, "run", None)) for _, event in events] == [
            (RunStarted, first),
            (RunSucceeded, first),
            (RunStarted, second),
            (RunFailed, second),
        ]
        assert state.journal.events(events[1][0]) == events[2:]
        assert state.journal.last_event() == events[-1][0]

    def test_is_empty_at_first(self, state: State) -> None:
        assert (state.journal.events(0), state.journal.first_event(), state.journal.last_event()) == ([], 0, 0)

    def test_passes_over_what_only_a_newer_version_knows(self, state: State, path: Path) -> None:
        with closing(sqlite3.connect(path)) as other:
            other.execute("INSERT INTO journal (time, kind, body) VALUES (1, 'GuestCloned', '{}')")
            other.execute(
                "INSERT INTO journal (time, kind, body) VALUES "
                '(2, \'RunStarted\', \'{"time": 2.0, "job": "100-0", "run": 7, "colour": "red"}\')'
            )
            other.commit()
        assert [event for _, event in state.journal.events(0)] == [RunStarted(2.0, JOB, 7)]

    def write(self, path: Path, count: int) -> None:
        with closing(sqlite3.connect(path)) as other, other:
            other.executemany("INSERT INTO journal (time, kind, body) VALUES (1, 'Later', '{}')", [()] * count)

    def test_keeps_the_newest(self, state: State, path: Path) -> None:
        self.write(path, JOURNAL_KEPT + 50)
        succeed(state, NOW, retention=Retention())
        assert state.journal.first_event() == 53

    def test_keeps_what_a_plugin_has_not_read(self, state: State, path: Path) -> None:
        state.plugin_store("notify").put(READ_TO, "7")
        state.plugin_store("other").put(READ_TO, "30")
        self.write(path, JOURNAL_KEPT + 50)
        succeed(state, NOW, retention=Retention())
        assert state.journal.first_event() == 8

    def test_does_not_grow_without_end_for_a_plugin_that_is_gone(self, state: State, path: Path) -> None:
        state.plugin_store("gone").put(READ_TO, "7")
        self.write(path, JOURNAL_MOST + 50)
        succeed(state, NOW, retention=Retention())
        assert state.journal.first_event() == 53

    def test_numbers_are_never_used_again(self, state: State, path: Path) -> None:
        succeed(state, NOW)
        newest = state.journal.last_event()
        with closing(sqlite3.connect(path)) as other:
            other.execute("DELETE FROM journal")
            other.commit()
        succeed(state, NOW + 60)
        assert min(number for number, _ in state.journal.events(0)) > newest
