"""The log of a run in ``state.db``."""

from __future__ import annotations

from replicator.state.stores import State
from tests.support.state_records import JOB, NOW


def test_a_log_grows_in_order_and_can_be_read_from_where_one_stopped(state: State) -> None:
    run = state.runs.begin(JOB, NOW, owner="another process", missed=0)
    state.logs.append(run, [(NOW, "info", "one"), (NOW, "raw", "two")])
    state.logs.append(run, [(NOW + 1, "error", "three")])
    assert [(line.number, line.text) for line in state.logs.lines(run)] == [(1, "one"), (2, "two"), (3, "three")]
    assert [line.text for line in state.logs.lines(run, after=2)] == ["three"]
