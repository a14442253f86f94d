"""Per-plugin values: durable, separate, all or none."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from replicator.errors import NoSpaceError
from replicator.state.stores import State


def test_a_plugins_notes_last_and_are_its_own(path: Path) -> None:
    with closing(State.open(path)) as state:
        state.plugin_store("notify").put("seen", "17")
        state.plugin_store("other").put("seen", "3")
        state.plugin_store("other").put("seen", None)
    with closing(State.open(path)) as state:
        assert (state.plugin_store("notify").get("seen"), state.plugin_store("other").get("seen")) == ("17", None)


def test_a_plugins_notes_are_found_by_the_beginning_of_their_keys(state: State) -> None:
    drawer = state.plugin_store("notify")
    drawer.put_all({"out/2": "b", "out/1": "a", "outer": "c", "in/1": "d"})
    assert list(drawer.items("out/").items()) == [("out/1", "a"), ("out/2", "b")]
    assert state.plugin_store("other").items("") == {}


def test_many_notes_are_written_all_or_none(state: State) -> None:
    drawer = state.plugin_store("notify")
    drawer.put_all({"a": "1", "b": "1"})
    pages = state.database._connection.execute("PRAGMA page_count").fetchone()[0]
    state.database._connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(NoSpaceError):
        drawer.put_all({"a": "2", "b": None, "c": "x" * 1_000_000})
    assert drawer.items("") == {"a": "1", "b": "1"}
