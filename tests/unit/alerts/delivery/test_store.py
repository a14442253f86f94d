"""What the plugin remembers survives a restart, and damage to it does no harm."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.delivery.outbox import Entry
from alerts.delivery.store import (
    COUNTERS,
    KEPT,
    Counters,
    DeliveryStatus,
    TargetState,
    key_of,
    load_log,
    load_state,
    record_writes,
    state_json,
)
from alerts.grouping.conditions import Condition
from alerts.grouping.flapping import Flap
from alerts.grouping.grouping import Held, Incident, IncidentState
from alerts.notice import Notice, NoticeKind, Severity
from alerts.settings import SECTION
from alerts.subject import Subject
from replicator.api import counters
from replicator.events import RunSucceeded
from replicator.models import JobId
from tests.support.statuses import FakeMemory

MOMENT = st.none() | st.floats(min_value=0, max_value=4e9)
NUMBER = st.integers(min_value=1)
JOB = st.from_regex(r"[1-9][0-9]{2}-[0-9]", fullmatch=True) | st.sampled_from(["pvesr:100-0", "zfs:tank/data"])
JOB_ID = JOB.map(JobId.from_text)
INCIDENT = st.builds(Incident, MOMENT, MOMENT, st.text())
TIME = st.floats(min_value=0, max_value=4e9)
RECOVERY = st.builds(RunSucceeded, TIME, JOB_ID, NUMBER, TIME, TIME, NUMBER, NUMBER, MOMENT)
FLAP = st.builds(
    Flap,
    st.lists(TIME, max_size=3).map(tuple),
    TIME,
    MOMENT,
    NUMBER,
    MOMENT,
    MOMENT,
    st.none() | st.tuples(NUMBER, RECOVERY),
)
SUBJECT = st.builds(
    Subject, job=JOB_ID, guest=NUMBER, guest_name=st.text(), source=st.text(), target=st.text(), last_sync=MOMENT
)
NOTICE = st.builds(
    Notice,
    key=st.text(),
    kind=st.sampled_from(NoticeKind),
    severity=st.sampled_from(Severity),
    time=TIME,
    node=st.text(),
    thread=st.text(),
    opens=st.booleans(),
    closes=st.booleans(),
    subjects=st.lists(SUBJECT, max_size=3).map(tuple),
)
ENTRY = st.builds(
    Entry,
    NUMBER,
    NOTICE,
    TIME,
    TIME,
    NUMBER,
    TIME,
    st.text(),
    TIME,
    st.dictionaries(JOB, MOMENT, max_size=2),
    st.text(),
)


@given(
    cursor=st.integers(min_value=0),
    incidents=st.dictionaries(JOB, INCIDENT),
    held=st.dictionaries(st.text(), st.lists(st.builds(Held, NUMBER, RECOVERY, INCIDENT), min_size=1).map(tuple)),
    outbox=st.lists(ENTRY).map(tuple),
    conditions=st.dictionaries(st.text(), st.builds(Condition, TIME, MOMENT, st.text(), MOMENT, MOMENT)),
    flaps=st.dictionaries(JOB, FLAP),
)
def test_what_is_written_is_read_again(
    cursor: int,
    incidents: dict[str, Incident],
    held: dict[str, tuple[Held, ...]],
    outbox: tuple[Entry, ...],
    conditions: dict[str, Condition],
    flaps: dict[str, Flap],
) -> None:
    memory = FakeMemory()
    notes = TargetState(cursor, IncidentState(incidents, held), outbox, conditions, flaps, 5.0, 6.0, 7, "dead")
    memory.put(key_of("mail"), state_json(notes))
    assert load_state(memory, "mail") == notes
    assert load_state(memory, "other") is None


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"cursor": "x", "incidents": {}}', '{"cursor": 1, "incidents": {"a": 1}}']
)
def test_a_damaged_state_is_logged_and_starts_again(text: str, caplog: pytest.LogCaptureFixture) -> None:
    assert load_state(FakeMemory({"target/mail": text}), "mail") is None
    assert "damaged" in caplog.text


def test_a_message_about_what_is_no_job_is_damaged_too() -> None:
    subject = Subject(JobId(100, 0), 100, "web", "alpha", "beta")
    about = replace(entry(1), notice=replace(entry(1).notice, subjects=(subject,)))
    state = state_json(TargetState(0, outbox=(about,))).replace("100-0", "100")
    log = {
        key: text and text.replace("100-0", "100")
        for key, text in record_writes("mail", about, DeliveryStatus.DELIVERED, 9.0).items()
    }
    assert load_state(FakeMemory({key_of("mail"): state}), "mail") is None
    memory = FakeMemory()
    memory.put_all(log)
    assert load_log(memory) == []


def test_notes_of_the_version_before_are_understood() -> None:
    memory = FakeMemory({"target/mail": '{"cursor": 7, "incidents": {"100-0": [5.0, null]}}'})
    assert load_state(memory, "mail") == TargetState(7, IncidentState({"100-0": Incident(5.0, None)}))


def test_messages_that_the_version_before_was_about_to_send_are_understood() -> None:
    failed = json.dumps(
        {"time": 5.0, "job": "100-0", "run": 1, "error_class": "zfs", "message": "m", "advice": "a", "consecutive": 1}
        | {"failing_since": 5.0, "last_sync": None, "next_run": None}
    )
    group = {"events": [[3, "RunFailed", failed]], "incidents": {"100-0": None}, "node": "", "along": []}
    data = {"cursor": 7, "incidents": {"100-0": [5.0, None, ""]}, "held": {}, "outbox": [group]}
    notes = load_state(FakeMemory({"target/mail": json.dumps(data)}), "mail")
    assert notes is not None
    assert [event.job for each in notes.unsent for _, event in each.events] == [JobId(100, 0)]


def entry(number: int) -> Entry:
    notice = Notice(f"k{number}", NoticeKind.FAILED, Severity.WARNING, 5.0, "alpha", "thread")
    return Entry(number, notice, since=float(number))


def test_the_log_lists_pending_messages_and_results_newest_first() -> None:
    memory = FakeMemory()
    memory.put_all(record_writes("mail", entry(1), DeliveryStatus.DELIVERED, 9.0))
    memory.put_all(record_writes("mail", entry(2), DeliveryStatus.UNDELIVERED, 9.0))
    memory.put(key_of("mail"), state_json(TargetState(0, outbox=(entry(3),))))
    found = [(record.name, str(record.status)) for record in load_log(memory)]
    assert found == [("mail-3", "pending"), ("mail-2", "undelivered"), ("mail-1", "delivered")]


def test_the_log_does_not_grow_without_limit() -> None:
    memory = FakeMemory()
    for number in range(1, KEPT + 51):
        memory.put_all(record_writes("mail", entry(number), DeliveryStatus.DELIVERED, 9.0))
    assert len(load_log(memory)) == KEPT


def test_counters_go_on_over_restarts_and_forget_targets_that_are_gone() -> None:
    memory = FakeMemory()
    memory.put_all(Counters(memory, ["mail", "old"]).add("mail", "success"))
    memory.put_all(Counters(memory, ["mail", "new"]).add("mail", "failure"))
    assert json.loads(memory.notes[COUNTERS]) == {
        "mail": {"success": 1, "failure": 1, "undelivered": 0},
        "new": {"success": 0, "failure": 0, "undelivered": 0},
    }


@pytest.mark.parametrize("text", ["{", "[1]", '{"mail": 3}', '{"mail": {"success": "many"}}'])
def test_damaged_counters_begin_at_zero(text: str) -> None:
    memory = FakeMemory({COUNTERS: text})
    Counters(memory, ["mail"])
    assert json.loads(memory.notes[COUNTERS]) == {"mail": {"success": 0, "failure": 0, "undelivered": 0}}


def test_the_counters_lie_in_the_store_where_other_plugins_read_them() -> None:
    assert counters.PLUGIN == SECTION


def test_the_stored_names_of_values_do_not_change() -> None:
    stored = {"since": 1.0, "told": 2.0, "thread": "t", "gone": None, "lag": 3.0}
    flap = {"begins": [1.0], "last": 1.0, "told": 2.0, "failures": 3, "synced": None, "lag": None, "held": None}
    text = json.dumps({"cursor": 7, "incidents": {}, "alarms": {"promise/100-0": stored}, "flaps": {"100-0": flap}})
    state = load_state(FakeMemory({key_of("mail"): text}), "mail")
    assert state is not None
    assert (state.conditions["promise/100-0"].reported, state.flaps["100-0"].reported) == (2.0, 2.0)
    again = json.loads(state_json(state))
    assert (again["alarms"]["promise/100-0"], again["flaps"]["100-0"]) == (stored, flap)
