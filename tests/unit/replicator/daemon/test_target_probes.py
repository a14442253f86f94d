"""A target that did not answer: probed, and its jobs due once it does."""

from __future__ import annotations

import pytest

from replicator.errors import (
    ConnectionLostError,
    ErrorClass,
    NetworkError,
    NoSpaceError,
)
from replicator.models import JobId
from replicator.replication.context import RunResult
from replicator.zfs.node_clients import Nodes
from tests.support.daemon_env import CLUSTER, JOB_100, JOB_101, DaemonEnv, ScriptedRun, until
from tests.support.daemon_waits import JOB, MINUTE, at_rest


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The nodes that answer a probe."""
    answering: set[str] = set()

    async def probe(nodes: Nodes, name: str) -> bool:
        (nodes.mark_reachable if name in answering else nodes.mark_unreachable)(name)
        return name in answering

    monkeypatch.setattr(Nodes, "probe", probe)
    return answering


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

    async def test_one_that_does_not_answer_in_time_keeps_no_other_job_waiting(
        self, stage: DaemonEnv, answers: set[str]
    ) -> None:
        async def no_answer(_: ScriptedRun) -> RunResult:
            stage.clock.now += 20
            raise NetworkError("beta does not answer.", node="beta")

        stage.write(CLUSTER + JOB_100 + JOB_101)
        async with stage.running():
            await at_rest(stage, 2)
            stage.script.acts[JOB] = [no_answer]
            stage.clock.now += 15 * MINUTE
            await until(lambda: stage.state.jobs.all()[JobId(101, 0)].consecutive_failures)
            assert [job for job, _ in stage.script.starts] == ["100-0", "101-0", "100-0"]
            failure = stage.state.jobs.all()[JobId(101, 0)].failure
            assert failure is not None
            assert (failure.error_class, failure.message) == (ErrorClass.NETWORK, "beta does not answer.")
            await stage.ask("schedule-now", "101-0")  # a person's order is tried all the same
            await until(lambda: len(stage.script.starts) == 4)
            assert stage.script.starts[3][0] == "101-0"

    async def test_one_that_breaks_a_connection_is_asked_by_the_next_job(
        self, stage: DaemonEnv, answers: set[str]
    ) -> None:
        async def lost(_: ScriptedRun) -> RunResult:
            stage.clock.now += 20
            raise ConnectionLostError("The connection to beta was lost.", node="beta")

        stage.write(CLUSTER + JOB_100 + JOB_101)
        async with stage.running():
            await at_rest(stage, 2)
            stage.script.acts[JOB] = [lost]
            stage.clock.now += 15 * MINUTE
            await at_rest(stage, 4)

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
