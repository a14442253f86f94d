"""What the plugin remembers survives a restart, and damage to it does no harm."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.notes import COUNTERS, Counters, TargetNotes, load_notes, save_notes
from alerts.policy import Held, Incident, Memory, Telling
from replicator.errors import ErrorClass
from replicator.events import RunFailed, RunSucceeded
from replicator.jobs import JobId
from tests.statuses import FakeMemory

MOMENT = st.none() | st.floats(min_value=0, max_value=4e9)
NUMBER = st.integers(min_value=1)
JOB = st.from_regex(r"[1-9][0-9]{2}-[0-9]", fullmatch=True)
JOB_ID = JOB.map(JobId.parse)
INCIDENT = st.builds(Incident, MOMENT, MOMENT, st.text())
TIME = st.floats(min_value=0, max_value=4e9)
RECOVERY = st.builds(RunSucceeded, TIME, JOB_ID, NUMBER, TIME, TIME, NUMBER, NUMBER, MOMENT)
FAILURE = st.builds(
    RunFailed, TIME, JOB_ID, NUMBER, st.sampled_from(ErrorClass), st.text(), st.text(), NUMBER, TIME, MOMENT, MOMENT
)
EVENTS = st.lists(st.tuples(NUMBER, RECOVERY | FAILURE), min_size=1).map(tuple)


@given(
    cursor=st.integers(min_value=0),
    incidents=st.dictionaries(JOB, INCIDENT),
    held=st.dictionaries(st.text(), st.lists(st.builds(Held, NUMBER, RECOVERY, INCIDENT), min_size=1).map(tuple)),
    outbox=st.lists(st.builds(Telling, EVENTS, st.dictionaries(JOB, st.none() | INCIDENT), st.text())).map(tuple),
)
def test_what_is_written_is_read_again(
    cursor: int, incidents: dict[str, Incident], held: dict[str, tuple[Held, ...]], outbox: tuple[Telling, ...]
) -> None:
    memory, notes = FakeMemory(), TargetNotes(cursor, Memory(incidents, held), outbox)
    save_notes(memory, "mail", notes)
    assert load_notes(memory, "mail") == notes
    assert load_notes(memory, "other") is None


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"cursor": "x", "incidents": {}}', '{"cursor": 1, "incidents": {"a": 1}}']
)
def test_damaged_notes_are_said_and_begun_anew(text: str, caplog: pytest.LogCaptureFixture) -> None:
    assert load_notes(FakeMemory({"target/mail": text}), "mail") is None
    assert "damaged" in caplog.text


def test_notes_of_the_version_before_are_understood() -> None:
    memory = FakeMemory({"target/mail": '{"cursor": 7, "incidents": {"100-0": [5.0, null]}}'})
    assert load_notes(memory, "mail") == TargetNotes(7, Memory({"100-0": Incident(5.0, None)}))


def test_counters_go_on_over_restarts_and_forget_targets_that_are_gone() -> None:
    memory = FakeMemory()
    Counters(memory, ["mail", "old"]).add("mail", success=True)
    Counters(memory, ["mail", "new"]).add("mail", success=False)
    assert json.loads(memory.notes[COUNTERS]) == {
        "mail": {"success": 1, "failure": 1},
        "new": {"success": 0, "failure": 0},
    }


@pytest.mark.parametrize("text", ["{", "[1]", '{"mail": 3}', '{"mail": {"success": "many"}}'])
def test_damaged_counters_begin_at_zero(text: str) -> None:
    memory = FakeMemory({COUNTERS: text})
    Counters(memory, ["mail"])
    assert json.loads(memory.notes[COUNTERS]) == {"mail": {"success": 0, "failure": 0}}
