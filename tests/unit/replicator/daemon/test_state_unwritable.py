"""A daemon whose state.db breaks, or cannot be written, while it runs: runs go on, and that is reported."""

from __future__ import annotations

import sqlite3

import pytest

from replicator.daemon.health_check import HealthLevel, daemon_findings
from replicator.daemon.status_json import status_json
from replicator.models import Outcome
from replicator.state import database
from tests.support.daemon_env import DaemonEnv, until
from tests.support.daemon_waits import JOB, MINUTE, at_rest


def _error(code: int) -> sqlite3.Error:
    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorcode = code
    return error


async def test_runs_go_on_in_memory_and_return_to_the_file(stage: DaemonEnv, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "RETURN_INTERVAL_SECONDS", 600.0)
    async with stage.running() as daemon:
        await at_rest(stage, 1)
        assert stage.state.database._leave_for_memory(_error(sqlite3.SQLITE_FULL))
        assert not daemon._nodes._may_destroy()
        stage.clock.now += 20 * MINUTE
        await at_rest(stage, 2)
        status = daemon.status()
        assert status.state_unwritable_since is not None
        findings = daemon_findings(status_json(status), [], promise_only=False)
        assert any(f.level is HealthLevel.WARNING and "state.db cannot be written" in f.text for f in findings)
        stage.state.database._return_at = 0.0
        await until(lambda: daemon.status().state_unwritable_since is None)
        assert daemon._nodes._may_destroy()
    assert [run.outcome for run in stage.state.runs.newest(JOB)] == [Outcome.SUCCESS] * 2


async def test_a_file_that_breaks_is_replaced_and_every_job_is_looked_at_again(stage: DaemonEnv) -> None:
    async with stage.running() as daemon:
        await at_rest(stage, 1)
        made = daemon.status().state_created
        assert stage.state.database._replace_damaged(_error(sqlite3.SQLITE_CORRUPT))
        await until(lambda: daemon.status().damaged_states)
        await at_rest(stage, 2)
        assert daemon.status().state_created > made
