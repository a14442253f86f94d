"""The local inventory on real ZFS: a job's snapshots, replicas held for other nodes, and the space of pools."""

from __future__ import annotations

import pytest

from replicator.api.held import PoolRole
from replicator.cluster.model import Cluster
from replicator.daemon.local_inventory import take_inventory
from replicator.hosts.local import LocalHost
from replicator.models import Guest, Job, JobId, Storage
from replicator.zfs.client import ZfsClient
from tests.support.pools import Pools

JOB = JobId(100, 0)


@pytest.fixture
def cluster(pools: Pools) -> Cluster:
    """A guest on alpha with a job to beta; the two pools play the nodes."""
    source, target = f"{pools.source.name}/data", f"{pools.target.name}/data"
    pools.sandbox.zfs("create", source)
    pools.sandbox.zfs("create", target)
    storage = Storage("data", source, paths=(("beta", target),))
    return Cluster({}, {"data": storage}, {100: Guest(100, "web", "alpha")}, {JOB: Job(JOB, "beta")})


async def test_the_source_reports_its_snapshots_and_its_pool(cluster: Cluster, pools: Pools) -> None:
    volume = f"{pools.source.name}/data/subvol-100-disk-0"
    pools.sandbox.zfs("create", volume)
    for name in ("__replicate_100-0_1__", "by-hand", "__replicate_100-0_2__"):
        pools.sandbox.zfs("snapshot", f"{volume}@{name}")

    found = await take_inventory(cluster, list(cluster.jobs.values()), ZfsClient(LocalHost("alpha"), limit=60))

    assert found.marks == {JOB: 2}
    (space,) = found.pools
    assert (space.pool, space.role) == (pools.source.name, PoolRole.SOURCE)
    assert 0 < space.free < space.size
    assert found.problems == ()


async def test_the_target_reports_its_pool(cluster: Cluster, pools: Pools) -> None:
    found = await take_inventory(cluster, [], ZfsClient(LocalHost("beta"), limit=60))

    assert [(space.pool, space.role) for space in found.pools] == [(pools.target.name, PoolRole.TARGET)]
    assert found.marks == {}


async def test_a_pool_that_does_not_exist_is_left_out(cluster: Cluster, pools: Pools) -> None:
    gone = Storage("gone", "no-such-pool/data")
    more = Cluster({}, {**cluster.storages, "gone": gone}, cluster.guests, cluster.jobs)

    found = await take_inventory(more, list(more.jobs.values()), ZfsClient(LocalHost("alpha"), limit=60))

    assert [space.pool for space in found.pools] == [pools.source.name]
    assert found.problems == ()


async def test_a_quota_leaves_a_storage_less_than_its_pool_has_free(cluster: Cluster, pools: Pools) -> None:
    path = f"{pools.target.name}/data"
    node = ZfsClient(LocalHost("beta"), limit=60)
    (before,) = (await take_inventory(cluster, [], node)).storages
    pools.sandbox.zfs("set", "quota=8M", path)

    found = await take_inventory(cluster, [], node)

    (space,), (pool,) = found.storages, found.pools
    assert (space.storage, space.pool, space.role) == ("data", pools.target.name, PoolRole.TARGET)
    assert 0 < space.free < 8 << 20 < before.free
    assert space.size == 8 << 20
    assert pool.free > space.free
