"""What the hooks of a real run leave in ``state.db``."""

from __future__ import annotations

import pytest

from replicator.daemon.hook_records import HookRecords
from replicator.errors import HookError
from replicator.hosts.local import LocalHost
from replicator.models import Guest, GuestId, Hook, JobId
from replicator.replication.hooks import frozen
from tests.support.daemon_env import NOW, DaemonEnv

JOB = JobId(100, 0)


async def hold(stage: DaemonEnv, *, freeze: str, thaw: str) -> list[GuestId]:
    """Freeze and thaw a guest; return the guests that were recorded in between."""
    guest = Guest(100, "web", "alpha", freeze=freeze, thaw=thaw, hook_timeout=5.0)
    records = HookRecords(stage.state.hooks, JOB, 7, stage.clock)
    async with frozen(guest, LocalHost("alpha"), lambda *_: None, records):
        return [each.guest for each in stage.state.hooks.frozen()]


async def test_a_guest_is_recorded_while_the_snapshot_is_taken_and_not_after_it(stage: DaemonEnv) -> None:
    assert await hold(stage, freeze="true", thaw="true") == [100]
    assert stage.state.hooks.frozen() == []
    assert stage.state.hooks.failures() == {}


async def test_a_failed_thaw_leaves_the_record_and_is_counted(stage: DaemonEnv) -> None:
    with pytest.raises(HookError):
        await hold(stage, freeze="true", thaw="false")
    (record,) = stage.state.hooks.frozen()
    assert (record.since, record.job, record.thaw, record.reported) == (NOW, JOB, "false", True)
    assert stage.state.hooks.failures() == {100: {Hook.THAW: 1}}


async def test_a_guest_that_is_off_is_counted_and_not_frozen(stage: DaemonEnv) -> None:
    await hold(stage, freeze="false", thaw="false")
    assert stage.state.hooks.frozen() == []
    assert stage.state.hooks.failures() == {100: {Hook.FREEZE: 1, Hook.THAW: 1}}


async def test_of_the_last_five_freezes_those_that_failed_are_known(stage: DaemonEnv) -> None:
    for freeze in ("true", "false", "false", "true", "false", "true"):
        await hold(stage, freeze=freeze, thaw="true")
    assert stage.state.hooks.failed_freezes(NOW) == {100: 3}
