"""Sets of which only a part arrived, and snapshots that cannot go: what they do to the restore points."""

from __future__ import annotations

from dataclasses import replace

import pytest

from replicator.replication.progress import Step
from tests.support import replication_env
from tests.support.pools import Pools
from tests.support.replication_env import JOB, Killed, ReplicationEnv


@pytest.fixture
def env(pools: Pools, monkeypatch: pytest.MonkeyPatch) -> ReplicationEnv:
    """A job that keeps two restore points."""
    monkeypatch.setattr(replication_env, "JOB", replace(JOB, keep="2"))
    return ReplicationEnv(pools)


async def test_a_set_of_which_only_a_part_arrived_displaces_no_whole_restore_point(env: ReplicationEnv) -> None:
    volumes = [env.volume(1), env.volume(2)]
    await env.run()
    first = env.snapshots(f"{env.target}/{volumes[0]}")
    for volume in volumes:
        env.pools.sandbox.fill(f"{env.source}/{volume}", 1 << 16, seed=7)
    with pytest.raises(Killed):
        await env.run(stop_before=Step.TRANSFER, nth=2)
    await env.run()
    for volume in volumes:
        left = env.snapshots(f"{env.target}/{volume}")
        assert left[:1] == first, "the whole set is still a restore point"
        assert len(left) == 2, "and the part is gone"
    assert env.snapshots(f"{env.target}/{volumes[0]}") == env.snapshots(f"{env.target}/{volumes[1]}")


async def test_a_snapshot_with_a_clone_keeps_no_other_one_from_being_destroyed(env: ReplicationEnv) -> None:
    volume = env.volume(1)
    await env.run()
    [cloned] = env.snapshots(f"{env.source}/{volume}")
    env.zfs("clone", f"{env.source}/{volume}@{cloned}", f"{env.source}/somebodys")
    for seed in (5, 6, 7):
        env.pools.sandbox.fill(f"{env.source}/{volume}", 1 << 16, seed=seed)
        await env.run()
    left = env.snapshots(f"{env.source}/{volume}")
    assert [name for name in left if name != cloned] == left[-1:]
