"""Runs that cannot begin: why is logged once, and shown by zsr status and zsr check until one begins."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from replicator.common import files
from replicator.daemon import run_supervisor
from replicator.daemon.health_check import HealthLevel, daemon_findings
from replicator.daemon.status_json import status_json
from replicator.state import guest_locks
from tests.support.daemon_env import DaemonEnv, until
from tests.support.daemon_waits import MINUTE, at_rest


async def test_is_logged_once_and_shown_until_a_run_begins(
    stage: DaemonEnv, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refused(path: Path, **_: object) -> int:
        raise OSError(30, "Read-only file system", str(path))

    monkeypatch.setattr(run_supervisor, "POSTPONE_SECONDS", 0.0)
    async with stage.running() as daemon:
        await at_rest(stage, 1)
        monkeypatch.setattr(guest_locks, "lock_file", refused)
        with caplog.at_level(logging.ERROR):
            stage.clock.now += 20 * MINUTE
            await until(lambda: sum(daemon.status().start_failures.values()) >= 3)
        assert caplog.text.count("Could not do or record a run of job 100-0") == 1
        assert "Its file system is read-only" in caplog.text
        findings = daemon_findings(status_json(daemon.status()), [], promise_only=False)
        (found,) = [
            each for each in findings if "no run of job 100-0 can begin: Could not create the lock" in each.text
        ]
        assert found.level is HealthLevel.WARNING
        monkeypatch.setattr(guest_locks, "lock_file", files.lock_file)
        stage.clock.now += 20 * MINUTE
        await at_rest(stage, 2)
        assert daemon.status().blocked == {}
