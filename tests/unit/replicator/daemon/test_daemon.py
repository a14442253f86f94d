"""The daemon on a clock that the test moves: what runs when, and that nothing which happens to a job ends it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from replicator.api.plugin import Core
from replicator.api.problem import Problem
from replicator.daemon.daemon import Daemon
from replicator.errors import (
    BusyError,
    ConfigError,
    ErrorClass,
    NetworkError,
    NoSpaceError,
    StorageMissingError,
    ZsrError,
)
from replicator.events import JobRemoved, RunFailed
from replicator.models import Job, JobCondition, JobId, Outcome, Removal
from replicator.state.guest_locks import guest_lock
from replicator.zfs.node_clients import Nodes
from tests.support.daemon_env import CLUSTER, JOB_100, JOB_101, NOW, DaemonEnv, RunScript, for_ever, play, shown, until

MINUTE = 60.0
JOB = JobId(100, 0)


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> RunScript:
    return play(monkeypatch)


@pytest.fixture
def stage(tmp_path: Path, script: RunScript) -> Iterator[DaemonEnv]:
    made = DaemonEnv(tmp_path, script)
    yield made
    made.state.close()


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The nodes that answer a probe."""
    answering: set[str] = set()

    async def probe(nodes: Nodes, name: str) -> bool:
        (nodes.mark_reachable if name in answering else nodes.mark_unreachable)(name)
        return name in answering

    monkeypatch.setattr(Nodes, "probe", probe)
    return answering


async def at_rest(stage: DaemonEnv, starts: int) -> None:
    """Wait until so many runs have begun, and all have ended."""
    await until(lambda: len(stage.script.starts) >= starts and not stage.state.runs.unfinished())
    await stage.ask("reload")
    await asyncio.sleep(0.05)
    assert len(stage.script.starts) == starts


class TestWhen:
    async def test_a_new_job_runs_at_once_and_then_by_its_schedule(self, stage: DaemonEnv) -> None:
        async with stage.running() as daemon:
            await at_rest(stage, 1)
            assert shown(daemon).next_run == NOW + 15 * MINUTE
            stage.clock.now += 15 * MINUTE - 1
            await at_rest(stage, 1)
            stage.clock.now += 1
            await at_rest(stage, 2)
        assert stage.script.starts == [("100-0", 0.0), ("100-0", 15 * MINUTE)]

    async def test_failures_are_tried_again_5_10_15_and_30_minutes_after_their_start(self, stage: DaemonEnv) -> None:
        stage.script.acts[JOB] = [StorageMissingError("gone.") for _ in range(6)]
        async with stage.running():
            for number, minutes in enumerate([5, 10, 15, 30, 30], start=1):
                await at_rest(stage, number)
                stage.clock.now += minutes * MINUTE - 1
                await at_rest(stage, number)
                stage.clock.now += 1
            await at_rest(stage, 6)
        assert stage.state.jobs.all()[JOB].consecutive_failures == 6

    async def test_schedule_now_runs_at_once_also_a_failing_job(self, stage: DaemonEnv) -> None:
        stage.script.acts[JOB] = [StorageMissingError("gone.")]
        async with stage.running() as daemon:
            await at_rest(stage, 1)
            stage.clock.now += 10
            await stage.ask("schedule-now", "100-0")
            await at_rest(stage, 2)
            assert shown(daemon).condition is JobCondition.OK

    async def test_a_disabled_job_does_not_run_until_it_is_enabled(self, stage: DaemonEnv) -> None:
        stage.write(CLUSTER + JOB_100 + "disabled = true\n")
        async with stage.running() as daemon:
            await at_rest(stage, 0)
            assert shown(daemon).condition is JobCondition.DISABLED
            stage.write(CLUSTER + JOB_100)
            await at_rest(stage, 1)

    async def test_slots_of_a_time_when_it_was_disabled_are_not_missed(self, stage: DaemonEnv) -> None:
        async with stage.running() as daemon:
            await at_rest(stage, 1)
            stage.write(CLUSTER + JOB_100 + "disabled = true\n")
            await stage.ask("reload")
            stage.clock.now += 10 * 3600
            stage.write(CLUSTER + JOB_100)
            await at_rest(stage, 2)
            assert shown(daemon).missed_runs == 0

    async def test_slots_that_passed_while_the_daemon_was_down_are_missed(self, stage: DaemonEnv) -> None:
        async with stage.running():
            await at_rest(stage, 1)
        stage.clock.now += 3600
        async with stage.running() as daemon:
            await at_rest(stage, 2)
            assert shown(daemon).missed_runs == 3

    async def test_due_jobs_run_one_after_the_other(self, stage: DaemonEnv) -> None:
        stage.write(CLUSTER + JOB_100 + JOB_101)
        async with stage.running():
            await at_rest(stage, 2)
        assert [job for job, _ in stage.script.starts] == ["100-0", "101-0"]
        assert stage.script.most_at_once == 1

    async def test_two_jobs_of_one_guest_never_run_together(self, stage: DaemonEnv) -> None:
        stage.write(CLUSTER + JOB_100 + '[jobs.100-1]\ntarget = "gamma"\n')
        stage.script.acts[JOB] = [for_ever]
        async with stage.running():
            await until(lambda: stage.script.going)
            with pytest.raises(ZsrError, match="Another job of guest 100"):
                await stage.ask("run", "100-1")
            await stage.ask("cancel", "100-0")
            await at_rest(stage, 2)

    async def test_a_locked_guest_is_put_off_and_does_not_block_the_next(self, stage: DaemonEnv) -> None:
        stage.write(CLUSTER + JOB_100 + JOB_101)
        with guest_lock(stage.settings.state_dir / "locks", 100):
            async with stage.running():
                await at_rest(stage, 1)
                assert stage.script.starts == [("101-0", 0.0)]
                assert stage.state.runs.newest(JOB) == []
                stage.clock.now += 11
        async with stage.running():
            await at_rest(stage, 2)


class TestTheClock:
    async def test_set_back_by_years_does_not_stop_a_job_until_then(self, stage: DaemonEnv) -> None:
        stage.clock.now += 4 * 365 * 86400
        async with stage.running():
            await at_rest(stage, 1)
            stage.clock.now = NOW
            await at_rest(stage, 2)
            stage.clock.now += 15 * MINUTE
            await at_rest(stage, 3)

    async def test_set_back_a_little_changes_nothing(self, stage: DaemonEnv) -> None:
        async with stage.running():
            await at_rest(stage, 1)
            stage.clock.now -= 30
            await at_rest(stage, 1)

    async def test_set_ahead_makes_one_run_not_one_for_each_slot(self, stage: DaemonEnv) -> None:
        async with stage.running():
            await at_rest(stage, 1)
            stage.clock.now += 86400
            await at_rest(stage, 2)


class TestUnreachable:
    async def test_when_the_target_answers_again_all_its_jobs_are_due(
        self, stage: DaemonEnv, answers: set[str]
    ) -> None:
        stage.write(CLUSTER + JOB_100 + JOB_101)
        for job in (JOB, JobId(101, 0)):
            stage.script.acts[job] = [NetworkError("beta is away.", node="beta")]
        async with stage.running() as daemon:
            await at_rest(stage, 2)
            assert daemon.status().reachable == {"beta": False}
            stage.clock.now += 30
            answers.add("beta")
            await at_rest(stage, 4)
            assert daemon.status().reachable == {"beta": True}

    async def test_one_that_answers_but_fails_again_climbs_the_ladder(
        self, stage: DaemonEnv, answers: set[str]
    ) -> None:
        stage.script.acts[JOB] = [NetworkError("beta is away.", node="beta") for _ in range(2)]
        async with stage.running():
            await at_rest(stage, 1)
            stage.clock.now += 30
            answers.add("beta")
            await until(lambda: len(stage.script.starts) == 2)
            answers.clear()
            await at_rest(stage, 2)
            stage.clock.now += 10 * MINUTE
            await at_rest(stage, 3)

    async def test_old_news_do_not_make_a_job_due_again_and_again(self, stage: DaemonEnv, answers: set[str]) -> None:
        stage.write(CLUSTER + JOB_100 + JOB_101)
        stage.script.acts[JOB] = [NetworkError("beta is away.", node="beta") for _ in range(9)]
        stage.script.acts[JobId(101, 0)] = [NetworkError("beta is away.", node="beta")]
        async with stage.running():
            await at_rest(stage, 2)
            stage.clock.now += 30
            answers.add("beta")
            await at_rest(stage, 4)

    async def test_is_still_known_after_a_restart(self, stage: DaemonEnv, answers: set[str]) -> None:
        stage.script.acts[JOB] = [NetworkError("beta is away.", node="beta")]
        async with stage.running():
            await at_rest(stage, 1)
        stage.clock.now += 30
        answers.add("beta")
        async with stage.running():
            await at_rest(stage, 2)

    async def test_another_failure_is_not_healed_by_an_answer(self, stage: DaemonEnv, answers: set[str]) -> None:
        stage.write(CLUSTER + JOB_100 + JOB_101)
        stage.script.acts[JOB] = [NoSpaceError("beta is full.", node="beta")]
        stage.script.acts[JobId(101, 0)] = [NetworkError("beta is away.", node="beta")]
        async with stage.running():
            await at_rest(stage, 2)
            stage.clock.now += 30
            answers.add("beta")
            await at_rest(stage, 3)
        assert stage.script.starts[2][0] == "101-0"


class TestWhatMayGoWrong:
    async def test_an_unexpected_error_is_class_internal_with_its_traceback_in_the_log(self, stage: DaemonEnv) -> None:
        stage.script.acts[JOB] = [LookupError("nobody expected this")]
        async with stage.running() as daemon:
            await at_rest(stage, 1)
            failure = shown(daemon).state.failure
            assert failure is not None
            assert failure.error_class is ErrorClass.INTERNAL
        (run,) = stage.state.runs.newest(JOB)
        assert any("Traceback" in line.text for line in stage.state.logs.lines(run.id))

    async def test_a_run_that_cannot_be_recorded_does_not_end_the_daemon(
        self, stage: DaemonEnv, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*_: object, **__: object) -> int:
            raise NoSpaceError("Could not write state.db: the disk is full.")

        with monkeypatch.context() as broken:
            broken.setattr("replicator.state.runs.Runs.begin", full)
            async with stage.running() as daemon:
                await until(lambda: daemon._postponed_until)
                with pytest.raises(ZsrError, match="disk is full"):
                    await stage.ask("run", "100-0")
        async with stage.running():
            await at_rest(stage, 1)

    async def test_a_memory_that_cannot_be_written_leaves_what_is_known_in_force(
        self, stage: DaemonEnv, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with stage.running() as daemon:
            await at_rest(stage, 1)

            def full(*_: object) -> None:
                raise NoSpaceError("Could not write state.db: the disk is full.")

            with monkeypatch.context() as broken:
                broken.setattr("replicator.state.job_states.JobStates.ensure", full)
                stage.write(CLUSTER + JOB_100 + JOB_101)
                await asyncio.sleep(0.05)
                assert len(daemon.status().jobs) == 1
            await at_rest(stage, 2)

    async def test_a_bad_new_cluster_leaves_the_last_good_one_in_force(
        self, stage: DaemonEnv, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with stage.running() as daemon:
            await at_rest(stage, 1)
            stage.write(CLUSTER + JOB_100 + "rate = 0.5\n")
            await until(lambda: not daemon.status().config.ok)
            assert any("rate" in problem for problem in daemon.status().config.problems)
            stage.clock.now += 15 * MINUTE
            await at_rest(stage, 2)
            assert sum("last good settings" in record.message for record in caplog.records) == 1
            stage.write(CLUSTER + JOB_100 + "rate = 5\n")
            await until(lambda: shown(daemon).job.rate == 5)
            assert daemon.status().config.ok

    @pytest.mark.parametrize(
        "text", ["[nodes", CLUSTER.replace("alpha", "delta")], ids=["no TOML", "without this node"]
    )
    async def test_a_cluster_that_is_wrong_at_the_start_is_refused(self, stage: DaemonEnv, text: str) -> None:
        stage.write(text)
        with pytest.raises(ConfigError):
            await stage.daemon().run()

    async def test_a_plugin_that_crashes_ends_alone(
        self, stage: DaemonEnv, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        class Crashing:
            sections = ("crashing",)

            def check(self, sections: Mapping[str, object]) -> list[Problem]:
                return []

            async def run(self, core: Core, sections: Mapping[str, object]) -> None:
                raise LookupError("nobody expected this")

        monkeypatch.setattr("replicator.daemon.daemon.load_plugins", lambda: {"crashing": Crashing()})
        with caplog.at_level(logging.ERROR):
            async with stage.running():
                await at_rest(stage, 1)
        assert any("plugin crashing" in record.message for record in caplog.records)

    async def test_a_second_daemon_is_refused(self, stage: DaemonEnv) -> None:
        async with stage.running():
            with pytest.raises(BusyError, match="running already"):
                await stage.daemon().run()


class TestCancel:
    async def test_is_recorded_and_the_daemon_lives_on(self, stage: DaemonEnv) -> None:
        stage.script.acts[JOB] = [for_ever]
        async with stage.running() as daemon:
            await until(lambda: shown(daemon).condition is JobCondition.SYNCING)
            await stage.ask("cancel", "100-0")
            await at_rest(stage, 1)
            assert shown(daemon).state.runs_cancelled == 1
            assert shown(daemon).state.consecutive_failures == 0
            stage.clock.now += 15 * MINUTE
            await at_rest(stage, 2)

    async def test_before_the_run_has_begun_leaves_nothing_locked(self, stage: DaemonEnv) -> None:
        async with stage.running() as daemon:
            await at_rest(stage, 1)
            going = daemon._start(shown(daemon).job)
            assert daemon._cancel(shown(daemon).job) == "cancelled"
            await asyncio.wait([going.task])
            assert going.outcome is Outcome.CANCELLED
            stage.clock.now += 15 * MINUTE
            await at_rest(stage, 2)

    async def test_of_a_job_that_does_not_run_is_refused(self, stage: DaemonEnv) -> None:
        async with stage.running():
            await at_rest(stage, 1)
            with pytest.raises(ConfigError, match="not running"):
                await stage.ask("cancel", "100-0")

    async def test_who_waits_for_the_run_is_told(self, stage: DaemonEnv) -> None:
        stage.script.acts[JOB] = [for_ever]
        async with stage.running():
            await until(lambda: stage.script.going)
            waiting = asyncio.ensure_future(stage.ask("run", "100-0"))
            await asyncio.sleep(0.02)
            await stage.ask("cancel", "100-0")
            assert await waiting == "cancelled"

    async def test_the_daemons_end_records_a_run_as_cancelled(self, stage: DaemonEnv) -> None:
        stage.script.acts[JOB] = [for_ever]
        async with stage.running():
            await until(lambda: stage.script.going)
        assert [record.outcome for record in stage.state.runs.newest(JOB)] == [Outcome.CANCELLED]


class TestJobsThatComeAndGo:
    async def test_a_job_made_a_moment_ago_can_be_run_at_once(self, stage: DaemonEnv) -> None:
        stage.script.acts[JOB] = [for_ever]
        async with stage.running():
            await until(lambda: stage.script.going)
            stage.store.create_job(Job(JobId(101, 0), "beta"))
            assert await stage.ask("run", "101-0") == "success"

    async def test_removal_takes_a_job_out_of_store_and_memory(
        self, stage: DaemonEnv, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        removed: list[Job] = []

        async def remove(job: Job, *_: object) -> None:
            removed.append(job)

        monkeypatch.setattr("replicator.daemon.run_worker.remove", remove)
        async with stage.running() as daemon:
            await at_rest(stage, 1)
            stage.store.update_job(Job(JOB, "beta", removal=Removal.FULL))
            await until(lambda: not daemon.status().jobs)
        assert [job.id for job in removed] == [JOB]
        assert (stage.store.read().jobs, stage.state.jobs.all(), stage.state.runs.newest(JOB)) == ({}, {}, [])
        assert isinstance(stage.state.journal.events(0)[-1][1], JobRemoved)

    async def test_a_removal_that_fails_is_tried_again(self, stage: DaemonEnv, monkeypatch: pytest.MonkeyPatch) -> None:
        async def remove(*_: object) -> None:
            raise BusyError("dataset is busy.")

        monkeypatch.setattr("replicator.daemon.run_worker.remove", remove)
        async with stage.running() as daemon:
            await at_rest(stage, 1)
            stage.store.update_job(Job(JOB, "beta", removal=Removal.FULL))
            await until(lambda: shown(daemon).state.consecutive_failures == 1)
            assert shown(daemon).condition is JobCondition.REMOVING
            assert shown(daemon).next_run == NOW + 5 * MINUTE

    async def test_a_job_taken_out_of_the_file_is_forgotten(self, stage: DaemonEnv) -> None:
        async with stage.running() as daemon:
            await at_rest(stage, 1)
            stage.write(CLUSTER)
            await until(lambda: not daemon.status().jobs)
            await until(lambda: not stage.state.jobs.all())

    async def test_jobs_of_other_nodes_are_left_to_them(self, stage: DaemonEnv) -> None:
        stage.write(CLUSTER.replace('[guests.100]\nnode = "alpha"', '[guests.100]\nnode = "gamma"') + JOB_100)
        async with stage.running():
            await at_rest(stage, 0)
            with pytest.raises(ConfigError, match="belongs to node gamma"):
                await stage.ask("run", "100-0")


class TestStatus:
    async def test_a_run_that_goes_on_is_shown(self, stage: DaemonEnv) -> None:
        stage.script.acts[JOB] = [for_ever]
        async with stage.running():
            await until(lambda: stage.script.going)
            (job,) = (await stage.ask("status"))["jobs"]
            assert (job["state"], job["transfer"]["step"]) == ("syncing", "transfer")

    async def test_a_job_to_run_now_has_not_waited_since_it_was_made(self, stage: DaemonEnv) -> None:
        stage.write(CLUSTER + JOB_100 + JOB_101)
        stage.script.acts[JobId(101, 0)] = []
        async with stage.running() as daemon:
            await at_rest(stage, 2)
            stage.clock.now += 10 * MINUTE
            stage.script.acts[JOB] = [for_ever]
            await stage.ask("schedule-now", "100-0")
            await until(lambda: stage.script.going)
            await stage.ask("schedule-now", "101-0")
            stage.clock.now += 7
            status = daemon.status()
            assert (status.queue_length, status.scheduler_lag) == (1, 7.0)

    async def test_thousands_of_jobs_fit_into_an_answer(self, stage: DaemonEnv) -> None:
        guests = "".join(f'[guests.{number}]\nnode = "alpha"\n' for number in range(200, 1200))
        jobs = "".join(f'[jobs.{number}-0]\ntarget = "beta"\ndisabled = true\n' for number in range(200, 1200))
        stage.write(CLUSTER + guests + jobs)
        async with stage.running():
            assert len((await stage.ask("status"))["jobs"]) == 1000


async def test_a_failed_run_tells_in_the_journal_when_it_is_tried_again(stage: DaemonEnv) -> None:
    stage.script.acts[JOB] = [StorageMissingError("gone.")]
    async with stage.running():
        await at_rest(stage, 1)
    events: list[Any] = [event for _, event in stage.state.journal.events(0) if isinstance(event, RunFailed)]
    assert [(event.consecutive, event.next_run) for event in events] == [(1, NOW + 5 * MINUTE)]


def test_the_status_of_a_daemon_that_has_not_begun_is_not_ready(stage: DaemonEnv) -> None:
    daemon: Daemon = stage.daemon()
    assert daemon.status().ready is False
