"""Snapshots of one name on both sides, on real ZFS: the job goes on, and nothing that is not zsr's is lost."""

from __future__ import annotations

from dataclasses import replace

import pytest

from replicator.models import KnownSets
from tests.support.pools import Pools
from tests.support.replication_env import ReplicationEnv


@pytest.fixture
def site(pools: Pools) -> ReplicationEnv:
    """Two fresh pools with the storage on both."""
    return ReplicationEnv(pools)


async def taken_again(site: ReplicationEnv) -> tuple[str, int]:
    """A guest whose snapshot ``before-upgrade`` travelled, and was taken again; the volume and the old GUID."""
    name = site.volume(0)
    await site.run()
    source = f"{site.source}/{name}"
    site.zfs("snapshot", f"{source}@before-upgrade")
    await site.run()
    old = site.guid(f"{site.target}/{name}@before-upgrade")
    site.zfs("destroy", f"{source}@before-upgrade")
    site.pools.sandbox.fill(source, 100_000, seed=5)
    site.zfs("snapshot", f"{source}@before-upgrade")
    site.pools.sandbox.fill(source, 100_000, seed=6)
    return name, old


async def test_a_snapshot_that_was_taken_again_travels_and_the_old_one_gets_another_name(site: ReplicationEnv) -> None:
    name, old = await taken_again(site)
    await site.run()

    assert site.equal(name)
    replica = f"{site.target}/{name}"
    assert site.guid(f"{replica}@before-upgrade") == site.guid(f"{site.source}/{name}@before-upgrade")
    assert site.guid(f"{replica}@zsr-outdated_{old:016x}_before-upgrade") == old


async def test_one_that_nobody_remembers_to_have_sent_keeps_its_name(site: ReplicationEnv) -> None:
    """It may be anybody's: the source's one of that name stays out, and the job goes on."""
    name, old = await taken_again(site)
    site.synced = replace(site.synced, sets=replace(site.synced.sets, sent=KnownSets().sent))
    await site.run()
    await site.run()

    assert site.equal(name)
    assert site.guid(f"{site.target}/{name}@before-upgrade") == old
    assert len([text for _, text in site.log if "cannot travel" in text]) == 1, "it is said once"
