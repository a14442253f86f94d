"""A reseed through the daemon: a run of the job, recorded as one, that never meets another run of the guest."""

from __future__ import annotations

import pytest

from replicator.errors import NoSpaceError, ZsrError
from replicator.models import Outcome
from tests.support.daemon_env import CLUSTER, JOB_100, DaemonEnv, until, until_cancelled
from tests.support.daemon_waits import JOB, at_rest

LATER = JOB_100 + 'schedule = "2099-1-1"\n'


@pytest.mark.parametrize("volumes", [("data:vm-100-disk-0",), ()], ids=["one", "all"])
async def test_it_is_a_run_of_the_job_for_these_volumes(stage: DaemonEnv, volumes: tuple[str, ...]) -> None:
    stage.write(CLUSTER + LATER)
    async with stage.running():
        await at_rest(stage, 1)

        assert await stage.ask("reseed", "100-0", volumes=list(volumes)) == Outcome.SUCCESS

    assert stage.script.reseeded == [volumes]
    assert [run.outcome for run in stage.state.runs.newest(JOB)] == [Outcome.SUCCESS, Outcome.SUCCESS]


async def test_one_that_fails_is_recorded_as_a_failed_run(stage: DaemonEnv) -> None:
    stage.write(CLUSTER + LATER)
    async with stage.running():
        await at_rest(stage, 1)
        stage.script.acts[JOB] = [NoSpaceError("Full.")]

        assert await stage.ask("reseed", "100-0", volumes=[]) == Outcome.FAILURE

    assert stage.state.runs.newest(JOB)[0].error_class == "no_space"


async def test_it_is_refused_while_a_run_goes_on_and_can_be_cancelled_itself(stage: DaemonEnv) -> None:
    stage.script.acts[JOB] = [until_cancelled]
    async with stage.running():
        await until(lambda: stage.script.going)
        with pytest.raises(ZsrError, match="This job of guest 100 is running"):
            await stage.ask("reseed", "100-0", volumes=[])
        await stage.ask("cancel", "100-0")
        await at_rest(stage, 1)

    assert stage.script.reseeded == []


async def test_a_disabled_job_is_not_reseeded(stage: DaemonEnv) -> None:
    stage.write(CLUSTER + JOB_100 + "disabled = true\n")
    async with stage.running():
        with pytest.raises(ZsrError, match="disabled"):
            await stage.ask("reseed", "100-0", volumes=[])
