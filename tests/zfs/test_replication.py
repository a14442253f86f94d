"""A run on real ZFS: transfer, verification, pruning, and the datasets that are never touched."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from replicator.errors import StorageMissingError, TargetActiveError, ZsrError
from replicator.hosts.local import LocalHost
from replicator.job_choices import Removal
from replicator.models import KnownSets, Storage, Synced, TargetPlace, TargetStorage, Volume
from replicator.replication.progress import Progress, Step
from replicator.replication.removal import remove
from replicator.zfs.client import ZfsClient
from tests.support.pools import Pools
from tests.support.replication_env import JOB, Killed, ReplicationEnv


@pytest.fixture
def site(pools: Pools) -> ReplicationEnv:
    """Two fresh pools with the storage on both."""
    return ReplicationEnv(pools)


async def test_a_full_copy_that_had_to_wait_looks_again(site: ReplicationEnv) -> None:
    first = site.volume(0)
    waits = 0

    async def wait_for_another() -> bool:
        nonlocal waits
        waits += 1
        site.volume(1)
        return True

    site.begin_full_copy = wait_for_another
    await site.run()
    assert site.equal(first, "subvol-100-disk-1")
    site.pools.sandbox.fill(f"{site.source}/{first}", 1 << 16, seed=9)
    await site.run()
    assert waits == 1, "an incremental waits for nobody"


async def test_a_first_run_brings_every_volume_whole(site: ReplicationEnv) -> None:
    first, second = site.volume(0), site.volume(1)
    result = await site.run()
    assert site.equal(first, second)
    assert result.sent_bytes > 2 << 20
    at = int(result.last_sync)
    volumes = ("data:subvol-100-disk-0", "data:subvol-100-disk-1")
    newest = [f"{site.target}/{name}@{site.snapshots(f'{site.target}/{name}')[-1]}" for name in (first, second)]
    sent = frozenset(site.guid(snapshot) for snapshot in newest)
    place = TargetPlace("beta", "", (TargetStorage("data", site.target, site.guid(site.target)),))
    assert site.remembered == [  # before the snapshot is taken, and when it is proven
        Synced(sets=KnownSets(taken=(at,))),
        Synced(result.last_sync, at, KnownSets(at, volumes, (at,), sent), place),
    ]


async def test_a_second_run_sends_only_what_changed(site: ReplicationEnv) -> None:
    name = site.volume(0, 4 << 20)
    await site.run()
    site.pools.sandbox.fill(f"{site.source}/{name}", 200_000, seed=7)
    result = await site.run()
    assert site.equal(name)
    assert result.sent_bytes < 1 << 20


async def test_one_snapshot_stays_on_either_side(site: ReplicationEnv) -> None:
    name = site.volume(0)
    for _ in range(3):
        result = await site.run()
    expected = [f"__replicate_100-0_{result.last_sync:.0f}__"]
    assert site.snapshots(f"{site.source}/{name}") == expected
    assert site.snapshots(f"{site.target}/{name}") == expected


async def test_a_replica_is_read_only_unmounted_marked_and_left_alone_by_snapshot_tools(site: ReplicationEnv) -> None:
    name = site.volume(0)
    await site.run()
    replica = f"{site.target}/{name}"
    wanted = {
        "readonly": "on",
        "mounted": "no",
        "canmount": "noauto",
        "com.sun:auto-snapshot": "false",
        "zsr:job": "100-0",
        "zsr:source": "alpha",
    }
    assert {key: site.property(replica, key) for key in wanted} == wanted


async def test_snapshots_of_other_makers_travel_and_stay(site: ReplicationEnv) -> None:
    name = site.volume(0)
    site.zfs("snapshot", f"{site.source}/{name}@by hand")
    await site.run()
    site.zfs("snapshot", f"{site.source}/{name}@later")
    await site.run()
    for path in (site.source, site.target):
        assert [s for s in site.snapshots(f"{path}/{name}") if not s.startswith("__")][-1] == "later"
    assert "by hand" in site.snapshots(f"{site.source}/{name}")


STEPS = [Step.LOOK, Step.PLAN, Step.SNAPSHOT, Step.TRANSFER, Step.PROVE, Step.REMEMBER, Step.TIDY]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("earlier", [0, 1], ids=["first-run", "later-run"])
async def test_a_run_that_was_killed_at_a_step_is_made_good_by_the_next(
    site: ReplicationEnv, step: Step, earlier: int
) -> None:
    names = (site.volume(0), site.volume(1))
    for _ in range(earlier):
        await site.run()
    site.pools.sandbox.fill(f"{site.source}/{names[0]}", 100_000, seed=9)
    with pytest.raises(Killed):
        await site.run(stop_before=step)
    result = await site.run()
    assert site.equal(*names)
    for path in (site.source, site.target):
        for name in names:
            assert site.snapshots(f"{path}/{name}") == [f"__replicate_100-0_{result.last_sync:.0f}__"]


async def test_a_first_run_that_failed_half_way_is_not_stuck_and_keeps_what_it_sent(site: ReplicationEnv) -> None:
    """The peer is stuck here until an admin deletes the target's first volume."""
    first, second = site.volume(0, 4 << 20), site.volume(1, 100_000)
    with pytest.raises(Killed):
        await site.run(stop_before=Step.TRANSFER, nth=2)
    result = await site.run()
    assert site.equal(first, second)
    assert result.sent_bytes < 1 << 20


async def test_a_clock_that_went_back_does_not_stop_the_job(site: ReplicationEnv) -> None:
    name = site.volume(0)
    before = await site.run()
    site.now -= 3600
    after = await site.run()
    assert site.synced.last_set == int(before.last_sync) + 1
    assert after.last_sync <= site.now
    assert site.equal(name)


async def test_a_conflict_changes_nothing_on_either_side(site: ReplicationEnv) -> None:
    good, bad = site.volume(0), site.volume(1)
    site.zfs("create", f"{site.target}/{bad}")
    before = site.zfs("list", "-H", "-o", "name", "-t", "all", "-r", site.pools.target.name)
    with pytest.raises(TargetActiveError, match=bad):
        await site.run()
    assert site.zfs("list", "-H", "-o", "name", "-t", "all", "-r", site.pools.target.name) == before
    assert site.snapshots(f"{site.source}/{good}") == []


async def test_a_replica_with_a_snapshot_of_its_own_is_kept_aside_whole_and_goes_on_without_a_copy(
    site: ReplicationEnv,
) -> None:
    name = site.volume(0, 4 << 20)
    await site.run()
    site.zfs("snapshot", f"{site.target}/{name}@mine")
    site.pools.sandbox.fill(f"{site.source}/{name}", 100_000, seed=9)
    result = await site.run()
    aside = [n for n in site.zfs("list", "-H", "-o", "name", "-r", site.target).split() if "/zsr-diverged/" in n]
    assert len(aside) == 1
    assert site.snapshots(aside[0]) == ["mine"]
    assert site.equal(name)
    assert result.sent_bytes < 1 << 20


async def test_a_replica_of_another_job_is_not_written(site: ReplicationEnv) -> None:
    name = site.volume(0)
    await site.run()
    site.zfs("set", "zsr:job=100-7", f"{site.target}/{name}")
    with pytest.raises(TargetActiveError, match="100-7"):
        await site.run()


async def test_the_replica_of_a_volume_that_is_gone_stays_and_is_reported(site: ReplicationEnv) -> None:
    kept, gone = site.volume(0), site.volume(1)
    await site.run()
    site.zfs("destroy", "-r", f"{site.source}/{gone}")
    for _ in range(2):
        await site.run()
        assert len(site.snapshots(f"{site.target}/{gone}")) == 1
        assert site.vanished == [f"{site.target}/{gone}"]
    assert site.equal(kept)
    assert any(level == "warning" and gone in text for level, text in site.log)


async def test_a_guest_without_any_volume_is_an_error_and_costs_no_replica(site: ReplicationEnv) -> None:
    name = site.volume(0)
    await site.run()
    site.zfs("destroy", "-r", f"{site.source}/{name}")
    with pytest.raises(ZsrError, match="no volumes"):
        await site.run()
    assert len(site.snapshots(f"{site.target}/{name}")) == 1


async def test_a_replica_with_a_foreign_dataset_below_it_is_not_destroyed(site: ReplicationEnv) -> None:
    name = site.volume(0)
    await site.run()
    site.zfs("create", "-o", "mountpoint=none", f"{site.target}/{name}/child")
    with pytest.raises(ZsrError, match="child"):
        await _remove(site, Removal.FULL)
    assert f"{site.target}/{name}/child" in site.zfs("list", "-H", "-o", "name", "-r", site.target).split()


async def test_a_replica_that_was_made_writable_is_not_destroyed_by_removal(site: ReplicationEnv) -> None:
    name, other = site.volume(0), site.volume(1)
    await site.run()
    site.zfs("set", "readonly=off", f"{site.target}/{name}")
    with pytest.raises(TargetActiveError, match=name) as refused:
        await _remove(site, Removal.FULL)
    assert 'guests.100.node = "beta"' in refused.value.advice
    assert len(site.snapshots(f"{site.target}/{name}")) == 1
    assert len(site.snapshots(f"{site.source}/{name}")) == 1
    assert f"{site.target}/{other}" not in site.zfs("list", "-H", "-o", "name", "-r", site.target).split()


async def test_a_replica_from_another_source_is_a_conflict_and_not_destroyed_by_removal(site: ReplicationEnv) -> None:
    name = site.volume(0)
    await site.run()
    site.zfs("set", "zsr:source=omega", f"{site.target}/{name}")
    with pytest.raises(TargetActiveError, match="from node omega"):
        await site.run()
    await _remove(site, Removal.FULL)
    assert len(site.snapshots(f"{site.target}/{name}")) == 1


async def test_a_target_without_the_storage_is_named(site: ReplicationEnv) -> None:
    site.volume(0)
    site.zfs("destroy", "-r", site.target)
    with pytest.raises(StorageMissingError, match=site.target):
        await site.run()


async def test_a_storage_that_the_guest_does_not_use_may_be_missing_on_the_target(site: ReplicationEnv) -> None:
    name = site.volume(0)
    site.zfs("create", f"{site.pools.source.name}/more")
    site.storages = (site.storage, Storage("more", f"{site.pools.source.name}/more"))
    await site.run()
    assert site.equal(name)


async def test_a_target_that_lost_its_replicas_is_not_believed_to_have_them(site: ReplicationEnv) -> None:
    site.volume(0)
    await site.run()
    site.zfs("destroy", "-r", f"{site.target}/subvol-100-disk-0")
    with pytest.raises(Killed):
        await site.run(stop_before=Step.PLAN)
    assert (site.synced.last_sync, site.synced.last_set) == (None, None)


async def test_volumes_listed_by_hand_may_lie_deeper_and_have_spaces(site: ReplicationEnv) -> None:
    site.zfs("create", f"{site.source}/www")
    site.zfs("create", f"{site.source}/www/my data")
    site.pools.sandbox.fill(f"{site.source}/www/my data", 100_000, seed=3)
    site.guest = replace(site.guest, volumes=(Volume("data", "www/my data"),))
    await site.run()
    await site.run()
    assert site.equal("www/my data")


async def _remove(site: ReplicationEnv, removal: Removal) -> None:
    await remove(
        replace(JOB, removal=removal),
        (site.storage,),
        ZfsClient(LocalHost("alpha"), limit=60),
        ZfsClient(LocalHost("beta"), limit=60),
        site.synced.sets,
        site.vanished,
        Progress(),
        lambda level, text: None,
        now=time.time(),
    )


async def test_removal_takes_replicas_and_the_jobs_snapshots_and_nothing_else(site: ReplicationEnv) -> None:
    name = site.volume(0)
    site.zfs("snapshot", f"{site.source}/{name}@mine")
    await site.run()
    site.zfs("create", f"{site.target}/other")
    await _remove(site, Removal.FULL)
    await _remove(site, Removal.FULL)
    assert site.zfs("list", "-H", "-o", "name", "-r", site.target).split() == [site.target, f"{site.target}/other"]
    assert site.snapshots(f"{site.source}/{name}") == ["mine"]


async def test_removal_that_keeps_the_targets_volumes_leaves_them_whole(site: ReplicationEnv) -> None:
    name = site.volume(0)
    await site.run()
    await _remove(site, Removal.LOCAL)
    assert site.snapshots(f"{site.source}/{name}") == []
    assert len(site.snapshots(f"{site.target}/{name}")) == 1


async def test_hooks_freeze_before_the_snapshot_and_always_thaw(site: ReplicationEnv, tmp_path: object) -> None:
    site.volume(0)
    notes = f"{tmp_path}/notes"
    site.guest = replace(site.guest, freeze=f"echo freeze >> {notes}; exit 1", thaw=f"echo thaw >> {notes}")
    await site.run()
    with open(notes) as file:  # noqa: ASYNC230, PTH123
        assert file.read().split() == ["freeze", "thaw"]
    assert any(level == "warning" and "freeze" in text for level, text in site.log)
