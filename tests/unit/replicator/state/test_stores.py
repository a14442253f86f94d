"""``state.db``: what changes together is written together, and nothing that happens to the file stops zsr."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from replicator.api.plugin import READ_TO
from replicator.api.status import JobHistory
from replicator.common.process_identity import this_process
from replicator.daemon.run_worker import close_interrupted
from replicator.errors import ErrorClass, NoSpaceError, ZsrError
from replicator.events import JobRemoved, RunCancelled, RunFailed, RunStarted, RunSucceeded
from replicator.models import Failure, JobId, KnownSets, Outcome, Retention, Synced
from replicator.state.pruning import JOURNAL_KEPT, JOURNAL_MOST
from replicator.state.stores import State

NOW = 1_800_000_000.0
DAY = 86_400.0
JOB = JobId(100, 0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "var" / "state.db"


@pytest.fixture
def state(path: Path) -> Iterator[State]:
    opened = State.open(path)
    yield opened
    opened.close()


def succeed(state: State, at: float, *, job: JobId = JOB, retention: Retention | None = None) -> int:
    run = state.runs.begin(job, at, owner="somebody", missed=0)
    event = RunSucceeded(at + 5, job, run, last_sync=at + 1, duration=5.0, sent_bytes=10)
    state.runs.finish(event, start=at, sent_bytes=10, unreplicated=0, retention=retention)
    return run


def fail(state: State, at: float, consecutive: int = 1, *, since: float | None = None) -> int:
    run = state.runs.begin(JOB, at, owner="somebody", missed=0)
    event = RunFailed(
        at + 2, JOB, run, ErrorClass.NETWORK, "beta is away.", "Look.", consecutive, since or at, None, at + 300
    )
    state.runs.finish(event, start=at, sent_bytes=3, resume_pending=True)
    return run


def test_only_its_owner_may_read_it(state: State, path: Path) -> None:
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_success_clears_failures_and_counts(state: State) -> None:
    fail(state, NOW)
    fail(state, NOW + 300, 2, since=NOW)
    succeed(state, NOW + 900)

    found = state.jobs.all()[JOB]
    assert (found.consecutive_failures, found.failing_since, found.failure) == (0, None, None)
    assert (found.runs_succeeded, found.runs_failed, found.sent_bytes_total) == (1, 2, 16)
    assert (found.last_sync, found.last_duration, found.resume_pending) == (NOW + 901, 5.0, False)
    assert found.errors == ((ErrorClass.NETWORK, 2),)


def test_a_failure_is_remembered_with_its_reason_across_a_restart(path: Path) -> None:
    with closing(State.open(path)) as state:
        fail(state, NOW)
    with closing(State.open(path)) as state:
        found = state.jobs.all()[JOB]
    assert found.failure == Failure(ErrorClass.NETWORK, "beta is away.", "Look.")
    assert (found.consecutive_failures, found.failing_since, found.resume_pending) == (1, NOW, True)


def test_a_cancelled_run_counts_neither_as_success_nor_as_failure(state: State) -> None:
    fail(state, NOW)
    run = state.runs.begin(JOB, NOW + 300, owner="somebody", missed=0)
    state.runs.finish(RunCancelled(NOW + 301, JOB, run), start=NOW + 300, sent_bytes=0)

    found = state.jobs.all()[JOB]
    assert (found.runs_cancelled, found.runs_failed, found.runs_succeeded) == (1, 1, 0)
    assert found.consecutive_failures == 1
    assert state.runs.newest(JOB)[0].outcome is Outcome.CANCELLED


def test_a_run_ends_once(state: State) -> None:
    run = fail(state, NOW)
    before = state.jobs.all()[JOB], state.journal.events(0)

    state.runs.finish(RunCancelled(NOW + 9, JOB, run), start=NOW, sent_bytes=99)

    assert (state.jobs.all()[JOB], state.journal.events(0)) == before


def test_the_end_of_a_run_does_not_bring_a_forgotten_job_back(state: State) -> None:
    run = state.runs.begin(JOB, NOW, owner="somebody", missed=0)
    state.jobs.forget(JOB, NOW + 1)
    state.logs.append(run, [(NOW + 2, "info", "still here")])
    state.runs.finish(RunCancelled(NOW + 3, JOB, run), start=NOW, sent_bytes=0)

    assert state.jobs.all() == {}
    assert state.logs.lines(run) == []
    assert [type(event) for _, event in state.journal.events(0)] == [RunStarted, JobRemoved]


def test_forgetting_takes_one_jobs_history_and_tells_the_journal(state: State) -> None:
    other = JobId(101, 0)
    run = succeed(state, NOW)
    state.logs.append(run, [(NOW, "info", "words")])
    kept = succeed(state, NOW, job=other)

    state.jobs.forget(JOB, NOW + 60)

    assert list(state.jobs.all()) == [other]
    assert (state.runs.newest(JOB), state.logs.lines(run)) == ([], [])
    assert [record.id for record in state.runs.newest(other)] == [kept]
    assert state.journal.events(0)[-1][1] == JobRemoved(NOW + 60, JOB)


def test_schedule_now_makes_due_and_leaves_failures_counted(state: State) -> None:
    fail(state, NOW)
    state.jobs.schedule_now(JOB)

    found = state.jobs.all()[JOB]
    assert (found.last_try, found.last_start, found.consecutive_failures) == (0.0, NOW, 1)


def test_a_job_begins_once(state: State) -> None:
    state.jobs.ensure(JOB, NOW)
    state.jobs.ensure(JOB, NOW + 99)

    assert state.jobs.all()[JOB].created == NOW


def fill_with_words(state: State, run: int) -> None:
    while True:
        state.logs.append(run, [(NOW, "raw", "x" * 50_000)])


def test_what_did_not_change_is_the_very_same_object(state: State) -> None:
    state.jobs.ensure(JOB, NOW)
    state.jobs.ensure(JobId(101, 0), NOW)
    before = state.jobs.all()
    succeed(state, NOW)
    after = state.jobs.all()

    assert after[JobId(101, 0)] is before[JobId(101, 0)]
    assert after[JOB] is not before[JOB]
    assert after[JOB] == state.jobs.get(JOB)
    assert state.jobs.all()[JOB] is after[JOB]


def test_what_another_process_wrote_is_seen(state: State, path: Path) -> None:
    state.jobs.ensure(JOB, NOW)
    assert state.jobs.all()[JOB].missed_runs == 0
    with closing(sqlite3.connect(path)) as other, other:
        other.execute("UPDATE job_state SET missed_runs = 3")

    assert state.jobs.all()[JOB].missed_runs == 3


def test_an_error_that_is_counted_changes_its_jobs_state(state: State) -> None:
    state.jobs.ensure(JOB, NOW)
    assert state.jobs.all()[JOB].errors == ()
    fail(state, NOW)

    assert state.jobs.all()[JOB].errors == ((ErrorClass.NETWORK, 1),)
    assert state.jobs.get(JOB) == state.jobs.all()[JOB]


def test_whoever_gets_the_states_may_change_his_own_dictionary(state: State) -> None:
    state.jobs.ensure(JOB, NOW)
    state.jobs.all().clear()

    assert list(state.jobs.all()) == [JOB]


def test_a_job_that_is_not_remembered_has_no_state(state: State) -> None:
    assert state.jobs.get(JOB) is None


def test_sizes_that_did_not_change_are_not_written(state: State) -> None:
    state.jobs.ensure(JOB, NOW)
    state.jobs.set_unreplicated({JOB: 5})
    before = state.jobs.all()[JOB]
    state.jobs.set_unreplicated({JOB: 5})

    assert before.unreplicated_bytes == 5
    assert state.jobs.all()[JOB] is before
    state.jobs.set_unreplicated({JOB: None})
    assert state.jobs.all()[JOB].unreplicated_bytes is None


class TestHistory:
    def test_more_runs_than_wanted_are_kept_while_they_are_young(self, state: State) -> None:
        keep = Retention(runs=3, seconds=30 * DAY)
        for index in range(6):
            succeed(state, NOW + index * DAY, retention=keep)
        assert len(state.runs.newest(JOB, -1)) == 6

    def test_old_runs_are_kept_while_they_are_few(self, state: State) -> None:
        keep = Retention(runs=3, seconds=30 * DAY)
        runs = [succeed(state, NOW + index * 100 * DAY, retention=keep) for index in range(3)]
        assert [record.id for record in state.runs.newest(JOB, -1)] == runs[::-1]

    def test_what_is_neither_young_nor_among_the_newest_goes_with_its_log(self, state: State) -> None:
        keep = Retention(runs=2, seconds=30 * DAY)
        first = succeed(state, NOW, retention=keep)
        state.logs.append(first, [(NOW, "info", "words")])
        later = [succeed(state, NOW + (index + 1) * 100 * DAY, retention=keep) for index in range(2)]
        assert [record.id for record in state.runs.newest(JOB, -1)] == later[::-1]
        assert state.logs.lines(first) == []

    def test_one_jobs_history_does_not_push_out_anothers(self, state: State) -> None:
        other = succeed(state, NOW, job=JobId(101, 0))
        for index in range(3):
            succeed(state, NOW + (index + 1) * 100 * DAY, retention=Retention(runs=1, seconds=DAY))
        assert [record.id for record in state.runs.newest(JobId(101, 0))] == [other]


class TestCutOffRuns:
    @pytest.fixture
    def dead(self) -> str:
        """The name of a process that has lived and is gone."""
        code = "from replicator.common.process_identity import this_process; print(this_process())"
        return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()

    def test_are_closed_as_failed_once(self, state: State, dead: str) -> None:
        run = state.runs.begin(JOB, NOW, owner=dead, missed=0)

        assert [record.id for record in close_interrupted(state, NOW + 60)] == [run]
        assert close_interrupted(state, NOW + 61) == []
        found = state.jobs.all()[JOB]
        assert (found.consecutive_failures, found.runs_failed, found.failing_since) == (1, 1, NOW)
        assert found.failure is not None
        assert found.failure.error_class is ErrorClass.INTERNAL
        assert [type(event) for _, event in state.journal.events(0)] == [RunStarted, RunFailed]

    def test_of_a_process_that_lives_are_left_alone(self, state: State) -> None:
        state.runs.begin(JOB, NOW, owner=this_process(), missed=0)
        assert close_interrupted(state, NOW + 60) == []

    def test_of_a_reused_pid_are_closed(self, state: State) -> None:
        boot, pid, _ = this_process().split(":")
        state.runs.begin(JOB, NOW, owner=f"{boot}:{pid}:1", missed=0)
        assert len(close_interrupted(state, NOW + 60)) == 1

    def test_keep_the_last_sync_that_was_proven(self, state: State, dead: str) -> None:
        state.runs.begin(JOB, NOW, owner=dead, missed=0)
        state.jobs.set_synced(JOB, Synced(NOW + 3, int(NOW)), run=1, now=NOW + 4)
        close_interrupted(state, NOW + 60)
        assert state.jobs.all()[JOB].last_sync == NOW + 3

    def test_do_not_cut_history_to_the_default(self, state: State, dead: str) -> None:
        for index in range(120):
            succeed(state, NOW - 100 * DAY + index)
        state.runs.begin(JOB, NOW, owner=dead, missed=0)
        close_interrupted(state, NOW + 60)
        assert len(state.runs.newest(JOB, -1)) == 121


class TestMissedSlots:
    def test_do_not_count_before_the_first_run(self, state: State) -> None:
        state.jobs.ensure(JOB, NOW)
        state.jobs.count_slots({JOB: "*/15"}, NOW)
        assert state.jobs.all()[JOB].slots_from == 0

    def test_count_from_the_last_start(self, state: State) -> None:
        succeed(state, NOW)
        state.jobs.count_slots({JOB: "*/15"}, NOW + 60)
        assert state.jobs.all()[JOB].slots_from == NOW

    def test_do_not_count_while_disabled_and_begin_anew_afterwards(self, state: State) -> None:
        succeed(state, NOW)
        state.jobs.count_slots({JOB: "*/15"}, NOW)
        state.jobs.count_slots({JOB: None}, NOW + 60)
        assert state.jobs.all()[JOB].slots_from == 0
        state.jobs.count_slots({JOB: "*/15"}, NOW + 7 * DAY)
        assert state.jobs.all()[JOB].slots_from == NOW + 7 * DAY

    def test_begin_anew_with_another_schedule(self, state: State) -> None:
        succeed(state, NOW)
        state.jobs.count_slots({JOB: "daily"}, NOW)
        state.jobs.count_slots({JOB: "*/1"}, NOW + 3600)
        assert state.jobs.all()[JOB].slots_from == NOW + 3600


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
            other.execute("INSERT INTO journal (time, kind, body) VALUES (1, 'GuestMoved', '{}')")
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

    def test_does_not_grow_for_ever_for_a_plugin_that_is_gone(self, state: State, path: Path) -> None:
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


class TestHistories:
    def test_tell_what_the_runs_of_a_time_came_to(self, state: State) -> None:
        succeed(state, NOW)
        succeed(state, NOW + 900)
        fail(state, NOW + 1800)
        succeed(state, NOW, job=JobId(101, 0))
        assert state.runs.histories(NOW, NOW + 3600) == {
            JOB: JobHistory(runs=3, failures=1, sent_bytes=23, slowest=5.0),
            JobId(101, 0): JobHistory(runs=1, failures=0, sent_bytes=10, slowest=5.0),
        }

    def test_leave_out_what_ended_before_or_after_and_what_was_cancelled(self, state: State) -> None:
        succeed(state, NOW - 900)
        succeed(state, NOW + 3600)
        run = state.runs.begin(JOB, NOW, owner="somebody", missed=0)
        state.runs.finish(RunCancelled(NOW + 1, JOB, run), start=NOW, sent_bytes=0)
        assert state.runs.histories(NOW, NOW + 3600) == {}


def test_a_log_grows_in_order_and_can_be_read_from_where_one_stopped(state: State) -> None:
    run = state.runs.begin(JOB, NOW, owner="somebody", missed=0)
    state.logs.append(run, [(NOW, "info", "one"), (NOW, "raw", "two")])
    state.logs.append(run, [(NOW + 1, "error", "three")])
    assert [(line.number, line.text) for line in state.logs.lines(run)] == [(1, "one"), (2, "two"), (3, "three")]
    assert [line.text for line in state.logs.lines(run, after=2)] == ["three"]


class TestTheFile:
    @pytest.mark.parametrize("damage", [b"no database at all " * 99, None], ids=["garbage", "a torn page"])
    def test_damaged_is_moved_aside_and_begun_anew(self, path: Path, damage: bytes | None) -> None:
        with closing(State.open(path)) as state:
            for index in range(50):
                succeed(state, NOW + index)
        whole = path.read_bytes()
        path.write_bytes(damage or whole[:4096] + b"\xff" * 8192 + whole[12288:])

        with closing(State.open(path)) as state:
            assert state.database.moved_aside is not None
            assert (
                state.database.moved_aside.read_bytes()
                == path.with_name(state.database.moved_aside.name).read_bytes()
                != b""
            )
            assert state.jobs.all() == {}
            succeed(state, NOW)

    def test_damaged_twice_in_a_second_overwrites_nothing(self, path: Path) -> None:
        path.parent.mkdir()
        found = []
        for words in (b"first " * 99, b"second " * 99):
            path.write_bytes(words)
            with closing(State.open(path)) as state:
                assert state.database.moved_aside is not None
                found.append(state.database.moved_aside)
            path.unlink()
        assert [place.read_bytes()[:5] for place in found] == [b"first", b"secon"]

    def test_of_a_newer_version_is_refused_and_left_as_it_is(self, path: Path) -> None:
        State.open(path).close()
        with closing(sqlite3.connect(path)) as other:
            other.execute("PRAGMA user_version = 99")
        with pytest.raises(ZsrError, match="newer zsr"):
            State.open(path)
        with closing(sqlite3.connect(path)) as other:
            assert other.execute("PRAGMA user_version").fetchone()[0] == 99

    def test_of_format_1_goes_on_with_all_that_it_remembered(self, path: Path) -> None:
        """Format 2 remembers the set of last sync too; what set that was, the next look tells."""
        with closing(State.open(path)) as state:
            run = succeed(state, NOW)
        with closing(sqlite3.connect(path)) as older:
            older.execute("ALTER TABLE job_state DROP COLUMN last_set")
            older.execute("ALTER TABLE job_state DROP COLUMN vanished")
            older.execute("ALTER TABLE job_state DROP COLUMN sets")
            older.execute("PRAGMA user_version = 1")

        for _ in range(2):  # the second time there is nothing to bring over
            with closing(State.open(path)) as state:
                found = state.jobs.all()[JOB]
                assert (found.last_sync, found.last_set, found.runs_succeeded) == (NOW + 1, None, 1)
                assert state.database.moved_aside is None
        with closing(State.open(path)) as state:
            state.jobs.set_synced(JOB, Synced(NOW + 9, int(NOW)), run=run, now=NOW + 10)
            assert state.jobs.all()[JOB].last_set == NOW
            assert state.runs.begin(JOB, NOW, owner="somebody", missed=0) > run
        with closing(sqlite3.connect(path)) as now:
            assert now.execute("PRAGMA user_version").fetchone()[0] == 4

    def test_of_format_2_goes_on_with_all_that_it_remembered(self, path: Path) -> None:
        """Format 3 remembers vanished volumes too; which those are, the next look tells."""
        with closing(State.open(path)) as state:
            run = succeed(state, NOW)
            state.jobs.set_synced(JOB, Synced(NOW + 9, int(NOW)), run=run, now=NOW + 10)
        with closing(sqlite3.connect(path)) as older:
            older.execute("ALTER TABLE job_state DROP COLUMN vanished")
            older.execute("ALTER TABLE job_state DROP COLUMN sets")
            older.execute("PRAGMA user_version = 2")

        for _ in range(2):  # the second time there is nothing to bring over
            with closing(State.open(path)) as state:
                found = state.jobs.all()[JOB]
                assert (found.last_sync, found.last_set, found.vanished) == (NOW + 9, NOW, ())
                assert state.database.moved_aside is None
        with closing(State.open(path)) as state:
            state.jobs.set_vanished(JOB, ["tank/vm-100-disk-1"], run=run, now=NOW + 11)
            assert state.jobs.all()[JOB].vanished == ("tank/vm-100-disk-1",)
        with closing(sqlite3.connect(path)) as now:
            assert now.execute("PRAGMA user_version").fetchone()[0] == 4

    def test_of_format_3_knows_of_its_sets_only_that_the_last_one_was_taken_here_and_proven(self, path: Path) -> None:
        """Format 4 remembers more; what is not remembered destroys nothing."""
        with closing(State.open(path)) as state:
            run = succeed(state, NOW)
            state.jobs.set_synced(JOB, Synced(NOW + 9, int(NOW)), run=run, now=NOW + 10)
        with closing(sqlite3.connect(path)) as older:
            older.execute("ALTER TABLE job_state DROP COLUMN sets")
            older.execute("PRAGMA user_version = 3")

        with closing(State.open(path)) as state:
            assert state.jobs.all()[JOB].sets == KnownSets(int(NOW), (), (int(NOW),))
            known = KnownSets(int(NOW), ("tank:a",), (int(NOW), int(NOW) + 5))
            state.jobs.set_synced(JOB, Synced(NOW + 9, int(NOW), known), run=run, now=NOW + 10)
            assert state.jobs.all()[JOB].sets == known

    def test_that_cannot_be_made_is_told_in_a_sentence(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("in the way")
        with pytest.raises(ZsrError, match="Could not open"):
            State.open(tmp_path / "file" / "state.db")

    def test_full_disk_is_class_no_space_and_changes_nothing(self, state: State) -> None:
        state.jobs.ensure(JOB, NOW)
        pages = state.database._connection.execute("PRAGMA page_count").fetchone()[0]
        state.database._connection.execute(
            f"PRAGMA max_page_count = {pages}"
        )  # SQLite's own word for a disk without a page left
        run = state.runs.begin(JOB, NOW, owner="somebody", missed=0)
        with pytest.raises(NoSpaceError):
            state.logs.append(run, [(NOW, "raw", "x" * 100_000)])
        assert state.logs.lines(run) == []
        state.database._connection.execute(f"PRAGMA max_page_count = {pages + 1000}")
        state.logs.append(run, [(NOW, "info", "room again")])

    @pytest.mark.skipif(os.geteuid() != 0, reason="a disk of its own needs root")
    def test_really_full_disk_keeps_what_was_written(self, tmp_path: Path) -> None:
        disk = tmp_path / "disk"
        disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(disk)], check=True)
        try:
            with closing(State.open(disk / "state.db")) as state:
                run = succeed(state, NOW)
                with pytest.raises(NoSpaceError):
                    fill_with_words(state, run)
            with closing(State.open(disk / "state.db")) as state:
                assert state.database.moved_aside is None
                assert state.jobs.all()[JOB].last_sync == NOW + 1
        finally:
            subprocess.run(["umount", str(disk)], check=True)

    def test_serves_threads_and_processes_at_once(self, state: State, path: Path) -> None:
        code = (
            "import sys; from pathlib import Path; from replicator.state.stores import State\n"
            "from replicator.models import JobId\n"
            "state = State.open(Path(sys.argv[1]))\n"
            "for index in range(50): state.runs.begin(JobId(200, 0), index, owner='child', missed=1)\n"
        )
        child = subprocess.Popen([sys.executable, "-c", code, str(path)])
        threads = [
            threading.Thread(target=lambda: [state.runs.begin(JOB, i, owner="us", missed=1) for i in range(25)])
            for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert child.wait() == 0
        assert {job: found.missed_runs for job, found in state.jobs.all().items()} == {JOB: 50, JobId(200, 0): 50}


WRITER = """
import sys
from pathlib import Path
from replicator.events import RunSucceeded
from replicator.models import JobId
from replicator.state.pruning import Retention
from replicator.state.stores import State
state = State.open(Path(sys.argv[1]))
print("ready", flush=True)
job, at = JobId(100, 0), 1_800_000_000.0
while True:
    at += 60
    run = state.runs.begin(job, at, owner="child", missed=1)
    state.logs.append(run, [(at, "info", "words")])
    event = RunSucceeded(at + 5, job, run, last_sync=at, duration=5.0, sent_bytes=7)
    state.runs.finish(event, start=at, sent_bytes=7, unreplicated=0, retention=Retention(5, 600))
"""


@pytest.mark.parametrize("seed", range(4))
def test_a_writer_killed_at_any_point_leaves_books_that_agree(path: Path, seed: int) -> None:
    child = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"ready\n"
    time.sleep(random.Random(seed).uniform(0.02, 0.3))
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()

    with closing(State.open(path)) as state:
        assert state.database.moved_aside is None
        found = state.jobs.all().get(JOB)
        if found is None:
            return
        unfinished = len(state.runs.unfinished())
        assert unfinished <= 1
        events = [event for _, event in state.journal.events(0, limit=100_000)]
        assert sum(isinstance(event, RunSucceeded) for event in events) == found.runs_succeeded
        assert sum(isinstance(event, RunStarted) for event in events) == found.runs_succeeded + unfinished
        assert found.missed_runs == found.runs_succeeded + unfinished
        assert found.sent_bytes_total == 7 * found.runs_succeeded
