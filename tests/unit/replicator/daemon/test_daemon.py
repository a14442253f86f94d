"""What may go wrong around the daemon never ends it; and its status at any moment."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

import pytest

from replicator.api.plugin import Core
from replicator.api.problem import Problem
from replicator.daemon.daemon import Daemon
from replicator.daemon.peer_views import FILE
from replicator.errors import (
    BusyError,
    ConfigError,
    ErrorClass,
    NoSpaceError,
    ZsrError,
)
from replicator.models import JobId
from tests.support.daemon_env import CLUSTER, JOB_100, JOB_101, DaemonEnv, shown, until, until_cancelled
from tests.support.daemon_waits import JOB, MINUTE, at_rest


class TestWhatMayGoWrong:
    async def test_an_unexpected_error_is_class_internal_with_its_traceback_in_the_log(self, stage: DaemonEnv) -> None:
        stage.script.acts[JOB] = [LookupError("unexpected")]
        async with stage.running() as daemon:
            await at_rest(stage, 1)
            failure = shown(daemon).state.failure
            assert failure is not None
            assert failure.error_class is ErrorClass.INTERNAL
        (run,) = stage.state.runs.newest(JOB)
        assert any("Traceback" in line.text for line in stage.state.logs.lines(run.id))

    async def test_a_run_for_which_there_is_no_memory_is_busy_and_tried_again(self, stage: DaemonEnv) -> None:
        stage.script.acts[JOB] = [MemoryError()]
        async with stage.running() as daemon:
            await at_rest(stage, 1)
            failure = shown(daemon).state.failure
            assert failure is not None
            assert (failure.error_class, failure.message) == (
                ErrorClass.BUSY,
                "This node has no memory left for the run.",
            )

    async def test_a_run_that_cannot_be_recorded_does_not_end_the_daemon(
        self, stage: DaemonEnv, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*_: object, **__: object) -> int:
            raise NoSpaceError("Could not write state.db: the disk is full.")

        with monkeypatch.context() as broken:
            broken.setattr("replicator.state.runs.Runs.begin", full)
            async with stage.running() as daemon:
                await until(lambda: daemon._runs.postponed_until)
                with pytest.raises(ZsrError, match="disk is full"):
                    await stage.ask("run", "100-0")
        async with stage.running():
            await at_rest(stage, 1)

    async def test_a_state_that_cannot_be_written_leaves_the_plan_as_it_was(
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

    async def test_a_bad_new_cluster_leaves_the_last_good_one_in_use(
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
                raise LookupError("unexpected")

        monkeypatch.setattr("replicator.daemon.daemon.load_plugins", lambda: {"crashing": Crashing()})
        with caplog.at_level(logging.ERROR):
            async with stage.running() as daemon:
                await at_rest(stage, 1)
                (ends,) = daemon.status().plugins.values()
        assert any("Plugin crashing" in record.message for record in caplog.records)
        assert (ends.count, ends.last, ends.reason) == (1, stage.clock.now, "Unexpected LookupError.")

    async def test_a_second_daemon_is_refused(self, stage: DaemonEnv) -> None:
        async with stage.running():
            with pytest.raises(BusyError, match="running already"):
                await stage.daemon().run()


class TestStatus:
    async def test_its_view_of_the_cluster_is_shown_and_written_for_other_nodes(self, stage: DaemonEnv) -> None:
        async with stage.running() as daemon:
            await until((stage.folder / FILE).exists)
            before = daemon.status().view
            assert (before.store, len(before.digest)) == ("file", 16)
            stage.write(CLUSTER + JOB_100 + JOB_101)
            await until(lambda: daemon.status().view.digest != before.digest)

    async def test_a_run_that_goes_on_is_shown(self, stage: DaemonEnv) -> None:
        stage.script.acts[JOB] = [until_cancelled]
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
            stage.script.acts[JOB] = [until_cancelled]
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


def test_the_status_of_a_daemon_that_has_not_begun_is_not_ready(stage: DaemonEnv) -> None:
    daemon: Daemon = stage.daemon()
    assert daemon.status().ready is False
