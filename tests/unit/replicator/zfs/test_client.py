"""What a client looks at again right before it destroys: whose a replica is, whether it is in use, and each GUID."""

from __future__ import annotations

from dataclasses import replace

import pytest

from replicator.errors import DivergedError, StorageMissingError, SupersededError, TargetActiveError, ZfsError
from replicator.models import KnownSets
from replicator.replication.destruction import decide_all_bookmarks, decide_removal, decide_rollback, decide_unproven
from replicator.zfs.fence import Fence
from replicator.zfs.model import Dataset
from replicator.zfs.permits import ReplicaPermit, RollbackPermit
from tests.support.played_host import PlayedHost
from tests.support.volumes import JOB, WAY, bookmark, dataset, snap

NAME = "pool/vm-100-disk-0"
REPLICA = dataset(snap(1), snap(2), name=NAME, job=str(JOB), readonly=True)
SENT = replace(WAY, known=KnownSets(taken=(1001, 1002)))


def removal(replica: Dataset = REPLICA) -> ReplicaPermit:
    """The permit to destroy a replica as it was when it was decided."""
    permit = decide_removal(WAY, replica)
    assert isinstance(permit, ReplicaPermit)
    return permit


def rollback() -> RollbackPermit:
    """The permit to roll the replica back to its first snapshot."""
    permit = decide_rollback(SENT, REPLICA, snap(1))
    assert permit is not None
    return permit


class TestAReplicaIsDestroyed:
    async def test_as_it_was_decided(self) -> None:
        host = PlayedHost(REPLICA)
        await host.client.destroy_replica(removal())
        assert host.orders == [f"destroy -r {NAME}"]


class TestAReplicaIsNotDestroyed:
    @pytest.mark.parametrize("mark", ["zsr_job", "zsr_source"])
    async def test_whose_mark_is_inherited(self, mark: str) -> None:
        value = {"zsr_job": str(JOB), "zsr_source": "alpha"}[mark]
        host = PlayedHost(REPLICA, **{mark: (value, "inherited from pool")})
        with pytest.raises(ZfsError, match="not a replica of"):
            await host.client.destroy_replica(removal())
        assert host.orders == []

    async def test_that_is_of_another_source(self) -> None:
        host = PlayedHost(REPLICA, zsr_source=("gamma", "local"))
        with pytest.raises(ZfsError, match="not a replica of"):
            await host.client.destroy_replica(removal())
        assert host.orders == []

    async def test_that_was_made_writable(self) -> None:
        host = PlayedHost(REPLICA, readonly=("off", "local"))
        with pytest.raises(TargetActiveError):
            await host.client.destroy_replica(removal())
        assert host.orders == []

    async def test_that_was_written_to(self) -> None:
        host = PlayedHost(REPLICA, written=("512", "-"))
        with pytest.raises(TargetActiveError):
            await host.client.destroy_replica(removal())
        assert host.orders == []

    async def test_that_is_another_dataset_of_its_name(self) -> None:
        host = PlayedHost(replace(REPLICA, guid=2))
        with pytest.raises(ZfsError, match="another dataset"):
            await host.client.destroy_replica(removal())
        assert host.orders == []

    async def test_that_has_a_new_snapshot(self) -> None:
        host = PlayedHost(replace(REPLICA, snapshots=(*REPLICA.snapshots, snap(3, "theirs"))))
        with pytest.raises(ZfsError, match="new snapshot"):
            await host.client.destroy_replica(removal())
        assert host.orders == []

    async def test_that_has_a_new_snapshot_by_the_name_of_an_old_one(self) -> None:
        host = PlayedHost(replace(REPLICA, snapshots=(snap(1), replace(snap(2), guid=9))))
        with pytest.raises(ZfsError, match="new snapshot"):
            await host.client.destroy_replica(removal())
        assert host.orders == []

    async def test_that_has_a_dataset_below_it(self) -> None:
        host = PlayedHost(REPLICA, dataset(name=f"{NAME}/theirs"))
        with pytest.raises(ZfsError, match="below it"):
            await host.client.destroy_replica(removal())
        assert host.orders == []


class TestAReplicaIsRolledBack:
    async def test_where_only_the_permits_snapshots_are_newer(self) -> None:
        host = PlayedHost(REPLICA)
        await host.client.rollback(rollback())
        assert host.orders == [f"destroy -d {NAME}@{snap(2).name}", f"rollback {NAME}@{snap(1).name}"]


class TestAReplicaIsNotRolledBack:
    async def test_that_was_written_to_since_the_plan(self) -> None:
        host = PlayedHost(replace(REPLICA, written=512))
        with pytest.raises(DivergedError):
            await host.client.rollback(rollback())
        assert host.orders == []

    async def test_that_has_another_newer_snapshot(self) -> None:
        host = PlayedHost(replace(REPLICA, snapshots=(*REPLICA.snapshots, snap(3, "theirs"))))
        with pytest.raises(DivergedError):
            await host.client.rollback(rollback())
        assert host.orders == []

    async def test_where_another_snapshot_has_the_name_of_the_one_to_go_back_to(self) -> None:
        host = PlayedHost(replace(REPLICA, snapshots=(replace(snap(1), guid=9), snap(2))))
        with pytest.raises(DivergedError):
            await host.client.rollback(rollback())
        assert host.orders == []

    async def test_that_was_made_writable(self) -> None:
        host = PlayedHost(REPLICA, readonly=("off", "local"))
        with pytest.raises(TargetActiveError):
            await host.client.rollback(rollback())
        assert host.orders == []


async def test_a_snapshot_that_was_replaced_by_another_one_of_its_name_stays() -> None:
    host = PlayedHost(replace(REPLICA, snapshots=(replace(snap(1), guid=9), snap(2))))
    await host.client.destroy_snapshots(decide_unproven(SENT, REPLICA, ""))
    assert host.orders == [f"destroy -d {NAME}@{snap(2).name}"]


async def test_a_bookmark_that_was_replaced_by_another_one_of_its_name_stays() -> None:
    volume = dataset(name="tank/a", bookmarks=(bookmark(1), bookmark(2)))
    host = PlayedHost(replace(volume, bookmarks=(replace(bookmark(1), guid=9), bookmark(2))))
    await host.client.destroy_bookmarks(decide_all_bookmarks(JOB, volume))
    assert host.orders == [f"destroy tank/a#{bookmark(2).name}"]


async def test_a_pool_that_is_gone_is_not_taken_for_a_zfs_without_programs() -> None:
    host = PlayedHost(REPLICA)
    host.of_programs = "cannot open 'pool': no such pool"
    with pytest.raises(StorageMissingError):
        await host.client.verify_and_prune("pool", expected=[(f"{NAME}@s", 1)])


async def test_marks_that_cannot_be_read_are_not_taken_for_none() -> None:
    host = PlayedHost(REPLICA)
    host.fails = "cannot open 'pool': pool I/O is currently suspended"
    with pytest.raises(ZfsError, match="whose its datasets are"):
        await host.client.inventory("pool")


class TestAnotherNodeHasTakenTheGuestOver:
    """Since the look: the stamps are compared again by the order that destroys."""

    LATER = {"zsr_owner": ("beta", "local"), "zsr_epoch": ("3", "local")}  # noqa: RUF012
    WAY = replace(SENT, fence=Fence(JOB, "alpha", 2))

    async def test_so_no_replica_is_destroyed(self) -> None:
        host, permit = PlayedHost(REPLICA, **self.LATER), decide_removal(self.WAY, REPLICA)
        assert isinstance(permit, ReplicaPermit)
        with pytest.raises(SupersededError, match="epoch 3"):
            await host.client.destroy_replica(permit)
        assert host.orders == []

    async def test_so_none_is_rolled_back(self) -> None:
        host, permit = PlayedHost(REPLICA, **self.LATER), decide_rollback(self.WAY, REPLICA, snap(1))
        assert permit is not None
        with pytest.raises(SupersededError):
            await host.client.rollback(permit)
        assert host.orders == []

    async def test_so_none_is_renamed_or_put_aside(self) -> None:
        host = PlayedHost(REPLICA, **self.LATER)
        with pytest.raises(SupersededError):
            await host.client.refuse_in_use(NAME, str(JOB), "alpha", self.WAY.fence)

    async def test_so_no_snapshot_is_destroyed_by_a_command(self) -> None:
        host = PlayedHost(REPLICA, **self.LATER)
        with pytest.raises(SupersededError):
            await host.client.destroy_snapshots(decide_unproven(self.WAY, REPLICA, ""))
        assert host.orders == []

    @pytest.mark.parametrize("source", ["received", "inherited from pool"])
    async def test_unless_the_stamps_are_not_its_own(self, source: str) -> None:
        host = PlayedHost(REPLICA, zsr_owner=("beta", source), zsr_epoch=("3", source))
        permit = decide_removal(self.WAY, REPLICA)
        assert isinstance(permit, ReplicaPermit)
        await host.client.destroy_replica(permit)
        await host.client.destroy_snapshots(decide_unproven(self.WAY, REPLICA, ""))
        assert host.orders == [f"destroy -r {NAME}", f"destroy -d {NAME}@{snap(1).name},{snap(2).name}"]


async def test_stamps_are_set_by_one_command() -> None:
    host = PlayedHost(REPLICA)
    await host.client.stamp(Fence(JOB, "alpha", 2), ["pool/a", "pool/b"])
    assert host.orders == ["set zsr:owner=alpha zsr:epoch=2 pool/a pool/b"]
