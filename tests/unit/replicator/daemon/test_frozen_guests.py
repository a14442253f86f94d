"""Guests that a run left frozen are thawed first thing at the next start, and again until that succeeds."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from replicator.daemon.one_shot import run_jobs
from replicator.events import Event, GuestFrozen, GuestThawed
from replicator.models import Guest, GuestId, Hook, JobId
from replicator.replication.context import RunResult
from replicator.state.guest_locks import guest_lock
from tests.support.daemon_env import CLUSTER, JOB_100, JOB_101, NOW, DaemonEnv, RunScript, ScriptedRun, until, well

SINCE = NOW - 30


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries come at once, not every minute."""
    monkeypatch.setattr("replicator.daemon.frozen_guests.RETRY_SECONDS", 0.02)
    monkeypatch.setattr("replicator.daemon.frozen_guests.LOOK_SECONDS", 0.01)
    monkeypatch.setattr("replicator.daemon.run_supervisor.POSTPONE_SECONDS", 0.02)


def leave_frozen(stage: DaemonEnv, guest: GuestId = 100, *, thaw: str = "", limit: float = 5.0) -> Path:
    """Record a guest as a run does that is killed between freeze and thaw; return the mark that its thaw leaves."""
    mark = stage.folder / f"thawed-{guest}"
    frozen = Guest(guest, "web", "alpha", freeze="true", hook_timeout=limit)
    stage.state.hooks.record_freeze(frozen, thaw or f"touch {mark}", job=JobId(guest, 0), run=7, now=SINCE)
    return mark


def time_passes(stage: DaemonEnv) -> bool:
    """Let a postponed run be tried again."""
    stage.clock.now += 1
    return True


def recorded(stage: DaemonEnv) -> list[GuestId]:
    return [each.guest for each in stage.state.hooks.frozen()]


def journal(stage: DaemonEnv) -> list[Event]:
    return [event for _, event in stage.state.journal.events(0) if isinstance(event, GuestFrozen | GuestThawed)]


def with_thaw(command: str) -> str:
    """The cluster file with this thaw hook of guest 100."""
    return CLUSTER.replace("[guests.100]\n", f'[guests.100]\nthaw = "{command}"\n') + JOB_100


async def test_a_guest_is_thawed_before_its_next_run(stage: DaemonEnv, script: RunScript) -> None:
    thawed_first: list[bool] = []
    mark = leave_frozen(stage, thaw=f"sleep 0.1; touch {stage.folder}/thawed-100")

    async def look(run: ScriptedRun) -> RunResult:
        thawed_first.append(mark.exists())
        return await well(run)

    script.acts[JobId(100, 0)].append(look)
    async with stage.running():
        await until(lambda: time_passes(stage) and thawed_first)
    assert thawed_first == [True]
    assert recorded(stage) == []


async def test_a_guest_whose_thaw_hangs_keeps_no_other_guest_waiting(stage: DaemonEnv, script: RunScript) -> None:
    stage.write(CLUSTER + JOB_100 + JOB_101)
    leave_frozen(stage, 100, thaw="sleep 0.7")
    mark = leave_frozen(stage, 101)
    async with stage.running():
        await until(lambda: time_passes(stage) and script.starts)
        assert script.starts[0][0] == "101-0"
        assert mark.exists()
        assert recorded(stage) == [100]


async def test_a_failed_thaw_is_logged_reported_once_counted_and_tried_again(
    stage: DaemonEnv, caplog: pytest.LogCaptureFixture
) -> None:
    leave_frozen(stage, thaw="echo no agent >&2; false")
    async with stage.running() as daemon:
        await until(lambda: stage.state.hooks.failures().get(100, {}).get(Hook.THAW, 0) >= 3)
        assert daemon.status().frozen_since == {100: SINCE}
        stage.write(with_thaw("true"))
        await until(lambda: not recorded(stage))
        await until(lambda: daemon.status().frozen_since == {})
    assert [type(event) for event in journal(stage)] == [GuestFrozen, GuestThawed]
    errors = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert "The thaw hook of guest 100 failed: no agent." in errors[0]
    assert "Thaw it now: echo no agent" in errors[0]


async def test_the_thaw_command_of_today_is_taken_rather_than_the_recorded_one(stage: DaemonEnv) -> None:
    mark = leave_frozen(stage)
    stage.write(with_thaw(f"touch {stage.folder}/today"))
    async with stage.running():
        await until(lambda: not recorded(stage))
    assert (stage.folder / "today").exists()
    assert not mark.exists()


async def test_a_thaw_command_that_others_may_have_written_is_not_run_but_the_recorded_one(stage: DaemonEnv) -> None:
    mark = leave_frozen(stage)
    stage.write(with_thaw(f"touch {stage.folder}/today"))
    stage.cluster.chmod(0o666)
    async with stage.running():
        await until(lambda: not recorded(stage))
    assert mark.exists()
    assert not (stage.folder / "today").exists()


async def test_a_guest_that_is_removed_is_thawed_by_the_recorded_command(stage: DaemonEnv) -> None:
    mark = leave_frozen(stage, 777)
    async with stage.running():
        await until(lambda: not recorded(stage))
    assert mark.exists()


async def test_a_guest_that_another_process_works_with_is_left_to_it(stage: DaemonEnv) -> None:
    mark = leave_frozen(stage)
    with guest_lock(stage.settings.state_dir / "locks", 100):
        async with stage.running() as daemon:
            await until(lambda: daemon.status().frozen_since)
            await asyncio.sleep(0.1)
            assert not mark.exists()
            stage.state.hooks.record_thaw(100, NOW)  # as that process does
    async with stage.running():
        await asyncio.sleep(0.1)
    assert not mark.exists()


async def test_a_daemon_that_is_stopped_lets_the_thaw_hook_come_to_its_end(stage: DaemonEnv) -> None:
    leave_frozen(stage, thaw=f"touch {stage.folder}/begun; sleep 0.3; touch {stage.folder}/done")
    async with stage.running():
        await until((stage.folder / "begun").exists)
    assert (stage.folder / "done").exists()
    assert recorded(stage) == []


async def test_a_run_in_the_foreground_thaws_first_too_and_a_failure_does_not_keep_it_from_others(
    stage: DaemonEnv, script: RunScript
) -> None:
    mark = leave_frozen(stage, 100)
    leave_frozen(stage, 101, thaw="false")
    assert await run_jobs(stage.settings, stage.store, stage.state, JobId(100, 0), lambda _: None)
    assert mark.exists()
    assert [job for job, _ in script.starts] == ["100-0"]
    assert recorded(stage) == [101]


async def test_each_hook_of_this_nodes_guests_counts_its_failures_from_zero(stage: DaemonEnv) -> None:
    stage.write(with_thaw("true").replace('[guests.101]\nnode = "alpha"', '[guests.101]\nnode = "beta"\nthaw = "x"'))
    leave_frozen(stage, 777, thaw="false")
    stage.state.hooks.count_failure(101, Hook.THAW, NOW)
    async with stage.running() as daemon:
        await until(lambda: daemon.status().hook_failures.get(777, {}).get(Hook.THAW))
        found = daemon.status().hook_failures
    assert found.keys() == {100, 777}
    assert found[100] == {Hook.THAW: 0}


async def test_each_guest_of_this_node_with_a_freeze_hook_counts_its_failed_freezes_from_zero(stage: DaemonEnv) -> None:
    text = with_thaw("true").replace('thaw = "true"', 'freeze = "true"\nthaw = "true"')
    stage.write(text.replace('[guests.101]\nnode = "alpha"', '[guests.101]\nnode = "beta"\nfreeze = "x"'))
    stage.state.hooks.count_failure(101, Hook.FREEZE, NOW)
    async with stage.running() as daemon:
        assert daemon.status().failed_freezes == {100: 0}
        stage.state.hooks.count_failure(100, Hook.FREEZE, NOW)
        await until(lambda: daemon.status().failed_freezes == {100: 1})
