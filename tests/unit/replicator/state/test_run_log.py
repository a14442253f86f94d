"""The log of a run in ``state.db``."""

from __future__ import annotations

from replicator.state.run_log import LONGEST_LINE, MOST_LINES, RunLogWriter
from replicator.state.stores import State
from tests.support.state_records import JOB, NOW


def test_a_log_grows_in_order_and_can_be_read_from_where_one_stopped(state: State) -> None:
    run = state.runs.begin(JOB, NOW, owner="another process", missed=0)
    state.logs.append(run, [(NOW, "info", "one"), (NOW, "raw", "two")])
    state.logs.append(run, [(NOW + 1, "error", "three")])
    assert [(line.number, line.text) for line in state.logs.lines(run)] == [(1, "one"), (2, "two"), (3, "three")]
    assert [line.text for line in state.logs.lines(run, after=2)] == ["three"]


async def test_a_log_has_no_orders_for_a_terminal_and_no_endless_line(state: State) -> None:
    run = state.runs.begin(JOB, NOW, owner="another process", missed=0)
    heard: list[str] = []
    writer = RunLogWriter(state.logs, run, heard.append, lambda: NOW)
    writer.add("raw", "\x1b[2Jzfs" + "x" * 100_000)
    await writer.flush()
    text = state.logs.lines(run)[0].text
    assert text.startswith("^[[2Jzfs")
    assert len(text) == LONGEST_LINE + len("...")
    assert "\x1b" not in heard[0]


async def test_a_log_of_very_many_lines_says_that_some_are_missing_and_keeps_the_error(state: State) -> None:
    run = state.runs.begin(JOB, NOW, owner="another process", missed=0)
    writer = RunLogWriter(state.logs, run, lambda line: None, lambda: NOW)
    for number in range(MOST_LINES + 100):
        writer.add("info", f"the snapshot {number} was created on the replica itself")
    writer.add("error", "it failed")
    await writer.flush()
    lines = state.logs.lines(run)
    assert len(lines) == MOST_LINES + 2
    assert [line.level for line in lines[-2:]] == ["warning", "error"]
