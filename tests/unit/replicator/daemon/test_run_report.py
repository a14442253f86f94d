"""One log line for each run: its level, and what it says."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from replicator.errors import StorageMissingError
from replicator.models import JobCondition
from replicator.replication.context import RunResult
from tests.support.daemon_env import CLUSTER, JOB_100, DaemonEnv, ScriptedRun, shown, until, until_cancelled
from tests.support.daemon_waits import JOB, at_rest


class Lines(logging.Handler):
    """Keeps the lines that name the job."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []
        self.facts: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record."""
        if "100-0" in record.getMessage():
            self.found.append((record.levelname, record.getMessage()))
            self.facts.append(getattr(record, "zsr_facts", {}))


@pytest.fixture
def lines() -> Iterator[Lines]:
    handler, logger = Lines(), logging.getLogger("zsr.daemon")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(before)


async def test_a_run_that_succeeds_is_logged_at_its_start_and_its_end(stage: DaemonEnv, lines: Lines) -> None:
    async def three_seconds(run: ScriptedRun) -> RunResult:
        stage.clock.now += 3
        run.progress.sent_bytes = 5
        return RunResult(last_sync=run.clock(), sent_bytes=5, unreplicated_bytes=0)

    stage.script.acts[JOB] = [three_seconds]
    async with stage.running():
        await at_rest(stage, 1)

    assert lines.found == [
        ("DEBUG", "Job 100-0: run 1 to beta started."),
        ("INFO", "Job 100-0: run 1 to beta succeeded in 3.0 s, 5 bytes sent."),
    ]
    assert lines.facts[1] == {
        "job": "100-0",
        "run": 1,
        "target": "beta",
        "outcome": "success",
        "duration": 3.0,
        "sent_bytes": 5,
    }


async def test_a_run_that_fails_is_a_warning_with_class_and_sentence(stage: DaemonEnv, lines: Lines) -> None:
    stage.script.acts[JOB] = [StorageMissingError("The dataset is gone.")]
    async with stage.running():
        await at_rest(stage, 1)

    assert lines.found[1:] == [
        (
            "WARNING",
            "Job 100-0: run 1 to beta failed after 0.0 s, 0 bytes sent: storage_missing: The dataset is gone.",
        )
    ]
    assert lines.facts[1]["error_class"] == "storage_missing"


async def test_a_run_that_is_cancelled_is_no_warning(stage: DaemonEnv, lines: Lines) -> None:
    stage.script.acts[JOB] = [until_cancelled]
    async with stage.running() as daemon:
        await until(lambda: shown(daemon).condition is JobCondition.SYNCING)
        await stage.ask("cancel", "100-0")
        await at_rest(stage, 1)

    assert lines.found[1:] == [("INFO", "Job 100-0: run 1 to beta was cancelled after 0.0 s, 0 bytes sent.")]


async def test_a_run_that_the_end_of_the_daemon_cancels_is_logged(stage: DaemonEnv, lines: Lines) -> None:
    stage.script.acts[JOB] = [until_cancelled]
    async with stage.running():
        await until(lambda: stage.script.going)

    assert [level for level, text in lines.found if "cancelled" in text] == ["INFO"]


async def test_a_removal_is_logged(stage: DaemonEnv, lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    async def remove(*_: object, **__: object) -> None:
        stage.clock.now += 2

    monkeypatch.setattr("replicator.daemon.run_worker.remove", remove)
    stage.write(CLUSTER + JOB_100 + 'removal = "local"\n')
    async with stage.running():
        await until(lambda: not stage.state.jobs.all())
        await stage.ask("reload")

    assert lines.found == [
        ("DEBUG", "Job 100-0: removal 1 to beta started."),
        ("INFO", "Job 100-0 was removed in 2.0 s (removal: local)."),
    ]
