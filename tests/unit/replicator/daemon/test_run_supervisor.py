"""Runs that are cancelled, and jobs that come and go while they run."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from replicator.errors import (
    BusyError,
    ConfigError,
)
from replicator.events import JobRemoved, JobVanished
from replicator.job_choices import Removal
from replicator.models import Job, JobCondition, JobId, Outcome
from replicator.state.runs import Runs
from tests.support.daemon_env import CLUSTER, JOB_100, NOW, DaemonEnv, shown, until, until_cancelled
from tests.support.daemon_waits import JOB, MINUTE, at_rest


class TestCancel:
    async def test_is_recorded_and_the_daemon_lives_on(self, stage: DaemonEnv) -> None:
        stage.script.acts[JOB] = [until_cancelled]
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
            going = daemon._runs.start(shown(daemon).job)
            daemon._runs.cancel(JOB)
            assert going.cancel_wanted
            await asyncio.wait([going.task])
            assert going.outcome is Outcome.CANCELLED
            stage.clock.now += 15 * MINUTE
            await at_rest(stage, 2)

    async def test_while_the_start_is_recorded_ends_the_run_before_it_does_anything(
        self, stage: DaemonEnv, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        begin: Callable[..., int] = Runs.begin

        def slow(*arguments: Any, **more: Any) -> int:
            run = begin(*arguments, **more)
            time.sleep(0.5)
            return run

        monkeypatch.setattr(Runs, "begin", slow)
        async with stage.running():
            await until(stage.state.runs.unfinished)
            await stage.ask("cancel", "100-0")
            await until(lambda: not stage.state.runs.unfinished())
        assert [record.outcome for record in stage.state.runs.newest(JOB)] == [Outcome.CANCELLED]
        assert stage.script.starts == []

    async def test_of_a_job_that_does_not_run_is_refused(self, stage: DaemonEnv) -> None:
        async with stage.running():
            await at_rest(stage, 1)
            with pytest.raises(ConfigError, match="not running"):
                await stage.ask("cancel", "100-0")

    async def test_a_client_that_waits_for_the_run_learns_of_it(self, stage: DaemonEnv) -> None:
        stage.script.acts[JOB] = [until_cancelled]
        async with stage.running():
            await until(lambda: stage.script.going)
            waiting = asyncio.ensure_future(stage.ask("run", "100-0"))
            await asyncio.sleep(0.02)
            await stage.ask("cancel", "100-0")
            assert await waiting == "cancelled"

    async def test_the_daemons_end_records_a_run_as_cancelled(self, stage: DaemonEnv) -> None:
        stage.script.acts[JOB] = [until_cancelled]
        async with stage.running():
            await until(lambda: stage.script.going)
        assert [record.outcome for record in stage.state.runs.newest(JOB)] == [Outcome.CANCELLED]


class TestJobsThatComeAndGo:
    async def test_a_job_made_a_moment_ago_can_be_run_at_once(self, stage: DaemonEnv) -> None:
        stage.script.acts[JOB] = [until_cancelled]
        async with stage.running():
            await until(lambda: stage.script.going)
            stage.store.create_job(Job(JobId(101, 0), "beta"))
            assert await stage.ask("run", "101-0") == "success"

    async def test_removal_takes_a_job_out_of_store_and_memory(
        self, stage: DaemonEnv, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        removed: list[Job] = []

        async def remove(job: Job, *_: object, **__: object) -> None:
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
        async def remove(*_: object, **__: object) -> None:
            raise BusyError("dataset is busy.")

        monkeypatch.setattr("replicator.daemon.run_worker.remove", remove)
        async with stage.running() as daemon:
            await at_rest(stage, 1)
            stage.store.update_job(Job(JOB, "beta", removal=Removal.FULL))
            await until(lambda: shown(daemon).state.consecutive_failures == 1)
            assert shown(daemon).condition is JobCondition.REMOVING
            assert shown(daemon).next_run == NOW + 5 * MINUTE

    async def test_a_job_taken_out_of_the_file_is_reported_and_goes_on_when_it_is_back(self, stage: DaemonEnv) -> None:
        async with stage.running() as daemon:
            await at_rest(stage, 1)
            before = stage.state.jobs.all()[JOB]
            stage.write(CLUSTER)
            await until(lambda: not daemon.status().jobs)
            await until(lambda: JOB in daemon.status().vanished_jobs)
            stage.write(CLUSTER + JOB_100)
            await until(lambda: daemon.status().jobs and not daemon.status().vanished_jobs)
            assert stage.state.jobs.all()[JOB].runs_succeeded == before.runs_succeeded == 1
        assert [type(event) for _, event in stage.state.journal.events(0)].count(JobVanished) == 1

    async def test_jobs_of_other_nodes_are_left_to_them(self, stage: DaemonEnv) -> None:
        stage.write(CLUSTER.replace('[guests.100]\nnode = "alpha"', '[guests.100]\nnode = "gamma"') + JOB_100)
        async with stage.running():
            await at_rest(stage, 0)
            with pytest.raises(ConfigError, match="belongs to node gamma"):
                await stage.ask("run", "100-0")
