"""When the daemon runs jobs, on a clock that the test moves."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime
from typing import Any

import pytest

from replicator.api.job_status import Disablement
from replicator.errors import BusyError, ErrorClass, StorageMissingError, ZsrError
from replicator.events import RunFailed
from replicator.models import JobCondition, JobId
from replicator.replication.context import RunResult
from replicator.state.guest_locks import guest_lock
from tests.support.daemon_env import (
    CLUSTER,
    JOB_100,
    JOB_101,
    NOW,
    DaemonEnv,
    ScriptedRun,
    full_copy,
    shown,
    until,
    until_cancelled,
    well,
)
from tests.support.daemon_waits import JOB, MINUTE, at_rest


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
        stage.write(CLUSTER + JOB_100 + 'schedule = "daily"\n')
        stage.script.acts[JOB] = [StorageMissingError("gone.") for _ in range(6)]
        async with stage.running():
            for number, minutes in enumerate([5, 10, 15, 30, 30], start=1):
                await at_rest(stage, number)
                stage.clock.now += minutes * MINUTE - 1
                await at_rest(stage, number)
                stage.clock.now += 1
            await at_rest(stage, 6)
        assert stage.state.jobs.all()[JOB].consecutive_failures == 6

    async def test_a_job_of_each_minute_is_tried_again_in_the_next_one(self, stage: DaemonEnv) -> None:
        stage.write(CLUSTER + JOB_100 + 'schedule = "*/1"\n')
        stage.script.acts[JOB] = [StorageMissingError("gone.") for _ in range(6)]
        async with stage.running() as daemon:
            for number in range(1, 6):
                await at_rest(stage, number)
                assert shown(daemon).next_run == stage.clock.now + MINUTE
                stage.clock.now += MINUTE
            await at_rest(stage, 6)
        events: list[Any] = [event for _, event in stage.state.journal.events(0) if isinstance(event, RunFailed)]
        assert [event.next_run - NOW for event in events] == [MINUTE * number for number in range(1, 7)]

    async def test_a_run_knows_the_sentences_of_the_failures_right_before_it(self, stage: DaemonEnv) -> None:
        stage.script.acts[JOB] = [*map(StorageMissingError, ["one.", "two."]), well, *map(BusyError, "abcd")]
        async with stage.running():
            for number in range(1, 9):
                await at_rest(stage, number)
                stage.clock.now += 30 * MINUTE
        known = [tuple(each.message for each in context.failures) for context in stage.script.contexts]
        assert known[:4] == [(), ("one.",), ("two.", "one."), ()]
        assert known[4:8] == [("a",), ("b", "a"), ("c", "b", "a"), ("d", "c", "b", "a")]

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

    async def test_since_when_it_is_disabled_survives_a_restart_and_ends_when_it_is_enabled(
        self, stage: DaemonEnv
    ) -> None:
        stage.write(CLUSTER + JOB_100 + "disabled = true\n")
        begin = stage.clock.now
        for _ in range(2):
            async with stage.running() as daemon:
                await stage.ask("reload")
                await stage.ask("reload")
                assert shown(daemon).state.disabled_since == begin
            stage.clock.now += 3600
        stage.write(CLUSTER + JOB_100)
        async with stage.running() as daemon:
            await at_rest(stage, 1)
            assert shown(daemon).state.disabled_since is None

    async def test_a_job_that_is_disabled_for_a_while_runs_at_once_when_the_time_is_over(
        self, stage: DaemonEnv
    ) -> None:
        async with stage.running() as daemon:
            await at_rest(stage, 1)
            begin = stage.clock.now
            end = datetime.fromtimestamp(begin + 2 * 3600, UTC).isoformat()
            stage.write(CLUSTER + JOB_100 + f"disabled_until = {end}\n")
            await stage.ask("reload")
            stage.clock.now = begin + 2 * 3600 - 1
            await stage.ask("reload")
            assert shown(daemon).condition is JobCondition.DISABLED
            assert shown(daemon).disablement == Disablement(begin + 2 * 3600)
            assert not shown(daemon).is_promised
            stage.clock.now = begin + 2 * 3600
            await at_rest(stage, 2)
            assert (shown(daemon).condition, shown(daemon).missed_runs) == (JobCondition.OK, 0)

    async def test_the_time_may_be_over_while_the_daemon_is_down(self, stage: DaemonEnv) -> None:
        end = datetime.fromtimestamp(stage.clock.now + 3600, UTC).isoformat()
        stage.write(CLUSTER + JOB_100 + f"disabled_until = {end}\n")
        async with stage.running():
            await at_rest(stage, 0)
        stage.clock.now += 3600
        async with stage.running():
            await at_rest(stage, 1)

    async def test_no_job_to_a_disabled_node_runs(self, stage: DaemonEnv) -> None:
        enabled = CLUSTER + JOB_100
        stage.write(enabled.replace("[nodes.beta]\n", "[nodes.beta]\ndisabled = true\n"))
        async with stage.running() as daemon:
            await at_rest(stage, 0)
            assert shown(daemon).disablement == Disablement(node="beta")
            stage.write(enabled)
            await at_rest(stage, 1)

    async def test_a_disabled_time_in_the_future_was_a_clock_that_was_ahead(self, stage: DaemonEnv) -> None:
        stage.write(CLUSTER + JOB_100 + "disabled = true\n")
        async with stage.running() as daemon:
            await stage.ask("reload")
            stage.clock.now -= 3600
            await stage.ask("reload")
            await stage.ask("reload")
            assert shown(daemon).state.disabled_since == stage.clock.now

    async def test_since_when_a_removal_waits_for_a_disabled_job(self, stage: DaemonEnv) -> None:
        stage.write(CLUSTER + JOB_100 + 'disabled = true\nremoval = "full"\n')
        begin = stage.clock.now
        async with stage.running() as daemon:
            stage.clock.now += 60
            await stage.ask("reload")
            await stage.ask("reload")
            assert shown(daemon).state.removal_since == begin

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
        stage.script.acts[JOB] = [until_cancelled]
        async with stage.running():
            await until(lambda: stage.script.going)
            with pytest.raises(ZsrError, match="Another job of guest 100"):
                await stage.ask("run", "100-1")
            await stage.ask("cancel", "100-0")
            await at_rest(stage, 2)

    async def test_a_locked_guest_is_put_off_and_does_not_block_the_next(
        self, stage: DaemonEnv, caplog: pytest.LogCaptureFixture
    ) -> None:
        stage.write(CLUSTER + JOB_100 + JOB_101)
        with guest_lock(stage.settings.state_dir / "locks", 100):
            async with stage.running() as daemon:
                await at_rest(stage, 1)
                await until(lambda: daemon.status().start_failures.get(ErrorClass.BUSY, 0) >= 1)
                assert f"of process {os.getpid()} since" in caplog.text
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


async def test_a_failed_run_records_in_the_journal_when_it_is_tried_again(stage: DaemonEnv) -> None:
    stage.script.acts[JOB] = [StorageMissingError("gone.")]
    async with stage.running():
        await at_rest(stage, 1)
    events: list[Any] = [event for _, event in stage.state.journal.events(0) if isinstance(event, RunFailed)]
    assert [(event.consecutive, event.next_run) for event in events] == [(1, NOW + 5 * MINUTE)]


class TestFullCopies:
    """A full copy may take hours; it has a lane of its own."""

    async def test_it_makes_no_job_of_another_guest_late(self, stage: DaemonEnv) -> None:
        stage.write(CLUSTER + JOB_100 + JOB_101)
        stage.script.acts[JOB] = [full_copy]
        async with stage.running():
            await until(lambda: len(stage.script.starts) == 2)
            stage.clock.now += 15 * MINUTE
            await until(lambda: len(stage.script.starts) == 3 and stage.script.going == [JOB])
        assert [job for job, _ in stage.script.starts] == ["100-0", "101-0", "101-0"]

    async def test_another_run_takes_its_turn_until_it_is_known_to_be_one(self, stage: DaemonEnv) -> None:
        stage.write(CLUSTER + JOB_100 + JOB_101)
        stage.script.acts[JOB] = [until_cancelled]
        async with stage.running():
            await until(lambda: stage.script.going)
            stage.clock.now += 15 * MINUTE
            await asyncio.sleep(0.1)
            assert [job for job, _ in stage.script.starts] == ["100-0"]

    async def test_one_goes_on_at_a_time_and_the_next_when_it_has_ended(self, stage: DaemonEnv) -> None:
        stage.write(CLUSTER + JOB_100 + JOB_101)
        began: list[str] = []

        async def copy(run: ScriptedRun) -> RunResult:
            await run.begin_full_copy()
            began.append(str(run.job))
            return await until_cancelled(run)

        stage.script.acts[JOB] = [copy]
        stage.script.acts[JobId(101, 0)] = [copy]
        async with stage.running():
            await until(lambda: len(stage.script.going) == 2)
            assert began == ["100-0"]
            await stage.ask("cancel", "100-0")
            await until(lambda: began == ["100-0", "101-0"])

    async def test_one_that_waits_can_be_cancelled(self, stage: DaemonEnv) -> None:
        stage.write(CLUSTER + JOB_100 + JOB_101)
        stage.script.acts[JOB] = [full_copy]
        stage.script.acts[JobId(101, 0)] = [full_copy]
        async with stage.running():
            await until(lambda: len(stage.script.going) == 2)
            await stage.ask("cancel", "101-0")
            await until(lambda: stage.script.going == [JOB])
            await stage.ask("cancel", "100-0")
            await until(lambda: stage.script.going == [])
            await stage.ask("schedule-now", "101-0")
            await until(lambda: [job for job, _ in stage.script.starts].count("101-0") == 2)
