"""Runs that succeed and cannot destroy what is to go: seen until a run destroys all."""

from __future__ import annotations

from pathlib import Path

import pytest

from replicator.daemon.tidiness import TidyLog, note_tidied
from replicator.errors import NoSpaceError, SupersededError, ZfsError
from replicator.replication.context import RunResult
from replicator.replication.progress import UNTIDY
from replicator.replication.verification import attempt
from tests.support.daemon_env import DaemonEnv, until
from tests.support.daemon_waits import JOB, MINUTE, at_rest
from tests.support.state_records import NOW, opened_state


async def held() -> None:
    raise ZfsError("The snapshot 'tank/a@x' has a hold.", raw="cannot destroy 'tank/a@x': dataset is busy")


async def test_a_step_that_failed_is_a_warning_in_the_run_s_log_and_is_noted() -> None:
    lines: list[tuple[str, str]] = []
    benign, log = TidyLog(lambda *_: None), TidyLog(lambda level, text: lines.append((level, text)))
    benign.add("warning", "the receive that an earlier run left running was ended")
    assert not await attempt(held(), log.add)
    assert (benign.failed, log.failed) == (False, True)
    assert lines == [
        ("warning", "The snapshot 'tank/a@x' has a hold."),
        ("raw", "cannot destroy 'tank/a@x': dataset is busy"),
    ]


async def test_a_node_that_was_superseded_attempts_nothing_more() -> None:
    async def refused() -> None:
        raise SupersededError("Guest 100 belongs to beta.")

    with pytest.raises(SupersededError):
        await attempt(refused(), lambda *_: None)


def test_the_first_failure_counts_until_a_run_destroys_all(tmp_path: Path) -> None:
    with opened_state(tmp_path / "state.db") as state:
        state.jobs.ensure(JOB, NOW)
        for failed, at, since in ((True, 0, 0), (True, 900, 0), (False, 1800, None), (True, 2700, 2700)):
            note_tidied(state, JOB, NOW + at, failed=failed)
            assert state.jobs.all()[JOB].untidy_since == (None if since is None else NOW + since)
            assert state.jobs.get(JOB) == state.jobs.all()[JOB]


async def test_a_daemon_shows_it_with_the_run_and_ends_it_with_the_next(stage: DaemonEnv) -> None:
    async def untidy(run: object) -> RunResult:
        run.log(UNTIDY, "The snapshot has a hold.")  # type: ignore[attr-defined]
        return RunResult(last_sync=NOW, sent_bytes=5, unreplicated_bytes=0)

    stage.script.acts[JOB] = [untidy]
    async with stage.running() as daemon:
        await at_rest(stage, 1)
        await until(lambda: daemon.status().untidy == {JOB: NOW})
        (run,) = stage.state.runs.newest(JOB)
        assert ("warning", "The snapshot has a hold.") in [(e.level, e.text) for e in stage.state.logs.lines(run.id)]
        stage.clock.now += 15 * MINUTE
        await at_rest(stage, 2)
        await until(lambda: daemon.status().untidy == {})


async def test_a_run_that_fails_says_nothing_about_tidying(stage: DaemonEnv) -> None:
    note_tidied(stage.state, JOB, NOW - 60, failed=True)
    stage.script.acts[JOB] = [NoSpaceError("The pool is full.")]
    async with stage.running() as daemon:
        await at_rest(stage, 1)
        await until(lambda: daemon.status().untidy == {JOB: NOW - 60})
