"""The history of runs: the effects of a run's end, and which runs are kept."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from replicator.api.job_status import JobHistory
from replicator.common.history import Retention
from replicator.common.process_identity import this_process
from replicator.daemon.failed_runs import close_interrupted
from replicator.errors import ErrorClass
from replicator.events import JobRemoved, RunCancelled, RunFailed, RunStarted
from replicator.models import Failure, JobId, Outcome, Synced
from replicator.state.stores import State
from tests.support.state_records import DAY, JOB, NOW, fail, succeed


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
    run = state.runs.begin(JOB, NOW + 300, owner="another process", missed=0)
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
    run = state.runs.begin(JOB, NOW, owner="another process", missed=0)
    state.jobs.forget(JOB, NOW + 1)
    state.runs.finish(RunCancelled(NOW + 3, JOB, run), start=NOW, sent_bytes=0)

    assert state.jobs.all() == {}
    assert [each.outcome for each in state.runs.all(JOB)] == [Outcome.SUCCESS]
    assert [type(event) for _, event in state.journal.events(0)] == [RunStarted, JobRemoved]


class TestFormerJobs:
    def test_another_job_of_the_same_id_begins_without_their_runs(self, state: State) -> None:
        fail(state, NOW)
        state.jobs.forget(JOB, NOW + 1)
        new = succeed(state, NOW + 2)
        assert [each.id for each in state.runs.newest(JOB)] == [new]
        assert len(state.runs.all(JOB)) == 2

    def test_their_runs_are_deleted_when_they_are_old(self, state: State) -> None:
        run = succeed(state, NOW)
        state.logs.append(run, [(NOW, "info", "words")])
        state.jobs.forget(JOB, NOW + 1)
        succeed(state, NOW + 31 * DAY, job=JobId(101, 0), retention=Retention(runs=3, seconds=30 * DAY))
        assert (state.runs.all(JOB), state.logs.lines(run)) == ([], [])


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


class TestHistories:
    def test_sum_up_the_runs_of_a_time(self, state: State) -> None:
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
        run = state.runs.begin(JOB, NOW, owner="another process", missed=0)
        state.runs.finish(RunCancelled(NOW + 1, JOB, run), start=NOW, sent_bytes=0)
        assert state.runs.histories(NOW, NOW + 3600) == {}
