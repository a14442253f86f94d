"""Adoption: which datasets on a target may become a job's replicas, and which are never touched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import pytest

from replicator.errors import ConfigError, SupersededError
from replicator.models import JobId, Volume
from replicator.replication.adoption import (
    Finding,
    OwnSnapshots,
    Verdict,
    examine,
    own_snapshots,
    refuse_adoption,
    still_holds,
    take_over,
)
from replicator.replication.plan import VolumePair
from replicator.zfs.client import ZfsClient
from replicator.zfs.fence import Fence, Stamped
from replicator.zfs.model import Bookmark, Dataset, Snapshot
from replicator.zfs.snapshot_names import snapshot_name

JOB = JobId(100, 0)
NAME = "tank/vm-100-disk-0"


def snap(guid: int, name: str | None = None) -> Snapshot:
    """A snapshot whose order is its GUID's."""
    return Snapshot(name or f"syncoid_{guid}", guid, createtxg=guid, creation=guid)


SOURCE = Dataset("rpool/vm-100-disk-0", is_volume=False, guid=1, snapshots=(snap(1), snap(2), snap(3)))
TARGET = Dataset(NAME, is_volume=False, guid=2, snapshots=(snap(1), snap(2)), readonly=False, mounted=False, written=0)


def found(target: Dataset | None, source: Dataset = SOURCE) -> Finding:
    """What is found of one volume."""
    [finding] = examine(JOB, [VolumePair(Volume("data", "vm-100-disk-0"), "tank", source, NAME, target)], "alpha")
    return finding


def test_an_unmarked_dataset_with_a_common_snapshot_can_be_adopted() -> None:
    finding = found(TARGET)

    assert (finding.verdict, finding.base, finding.newer) == (Verdict.ADOPTABLE, snap(2), ())


def test_a_bookmark_on_the_source_is_a_common_base_too() -> None:
    source = replace(SOURCE, snapshots=(snap(3),), bookmarks=(Bookmark("kept", 2, 2, 2),))

    assert found(TARGET, source).base == snap(2)


def test_what_is_newer_there_is_shown() -> None:
    finding = found(replace(TARGET, snapshots=(snap(1), snap(2), snap(9, "by-hand")), written=4096))

    assert finding.verdict is Verdict.ADOPTABLE
    assert (finding.newer, finding.written) == ((snap(9, "by-hand"),), 4096)


def test_an_equal_name_with_another_guid_is_no_base() -> None:
    assert found(replace(TARGET, snapshots=(snap(7, "syncoid_1"),))).verdict is Verdict.NO_BASE


def test_a_volume_that_is_not_there_will_be_sent() -> None:
    assert found(None).verdict is Verdict.ABSENT


def test_the_jobs_own_replica_is_left_as_it_is() -> None:
    assert found(replace(TARGET, job="100-0", source="alpha", readonly=True)).verdict is Verdict.REPLICA


def test_the_jobs_replica_from_another_source_can_be_adopted_unless_it_was_made_writable() -> None:
    """The guest was moved to this node, or this node has a new name."""
    theirs = replace(TARGET, job="100-0", source="omega", readonly=True)
    assert found(theirs).verdict is Verdict.ADOPTABLE
    assert found(replace(theirs, readonly=False)).verdict is Verdict.REFUSED


def test_a_replica_of_the_peer_under_this_jobs_id_can_be_marked() -> None:
    ours = snap(4, snapshot_name(JOB, 4))
    peers = replace(TARGET, snapshots=(ours,))

    assert found(peers, replace(SOURCE, snapshots=(ours,))).verdict is Verdict.ADOPTABLE


def test_a_mounted_dataset_that_is_readonly_is_not_in_use() -> None:
    assert found(replace(TARGET, mounted=True, readonly=True)).verdict is Verdict.ADOPTABLE


@pytest.mark.parametrize(
    ("target", "why"),
    [
        (replace(TARGET, job="100-1"), "belongs to job 100-1"),
        (replace(TARGET, job="100-1", snapshots=()), "belongs to job 100-1"),
        (replace(TARGET, is_volume=True), "is a volume (zvol), and data:vm-100-disk-0 is a filesystem"),
        (replace(TARGET, is_volume=True, job="100-0"), "is a volume (zvol)"),
        (replace(TARGET, mounted=True), "is in use (mounted, readonly=off): unmount it there (zfs unmount)"),
        (replace(TARGET, token="1-abc"), "has a half-received state"),
    ],
)
def test_what_is_not_to_be_touched_is_refused_with_a_reason(target: Dataset, why: str) -> None:
    finding = found(target)

    assert finding.verdict is Verdict.REFUSED
    with pytest.raises(ConfigError) as error:
        refuse_adoption([finding], "beta")
    assert f"'{NAME}' on beta {why}" in str(error.value)


def test_all_reasons_are_reported_at_once() -> None:
    findings = [found(replace(TARGET, job="100-1")), found(TARGET), found(replace(TARGET, mounted=True))]

    with pytest.raises(ConfigError) as error:
        refuse_adoption(findings, "beta")
    assert str(error.value).count(NAME) == 2


def test_without_a_refusal_nothing_is_raised() -> None:
    refuse_adoption([found(TARGET), found(None)], "beta")


def test_a_dataset_in_use_without_a_common_base_is_left_alone_anyway() -> None:
    assert found(replace(TARGET, mounted=True, snapshots=())).verdict is Verdict.NO_BASE


class TestBetweenShowingAndMarking:
    def test_new_snapshots_do_no_harm(self) -> None:
        assert still_holds([found(TARGET)], [found(TARGET, replace(SOURCE, snapshots=(*SOURCE.snapshots, snap(4))))])

    @pytest.mark.parametrize("later", [None, replace(TARGET, guid=77), replace(TARGET, job="100-0")])
    def test_another_dataset_in_its_place_is_noticed(self, later: Dataset | None) -> None:
        assert not still_holds([found(TARGET)], [found(later)])


def own(guid: int) -> Snapshot:
    """A snapshot with the job's name."""
    return snap(guid, snapshot_name(JOB, 1000 + guid))


class TestSnapshotsThatBecomeTheJobsOwn:
    def test_are_those_of_its_name_on_replicas_and_on_the_source_only_what_a_replica_has(self) -> None:
        source = replace(SOURCE, snapshots=(own(1), own(2), snap(3)))
        finding = found(replace(TARGET, snapshots=(own(1), snap(3), own(5))), source)
        assert own_snapshots(JOB, [finding]) == OwnSnapshots(frozenset({1001}), frozenset({1, 5}))

    def test_on_a_source_that_was_a_replica_are_restore_points_and_stay_so(self) -> None:
        source = replace(SOURCE, snapshots=(own(1), own(2)), job=str(JOB), source="beta")
        finding = found(replace(TARGET, snapshots=(own(1), own(2))), source)
        assert own_snapshots(JOB, [finding]) == OwnSnapshots(frozenset(), frozenset({1, 2}))

    def test_are_none_of_a_dataset_that_is_left_alone(self) -> None:
        finding = found(replace(TARGET, snapshots=(own(1),), job="100-7"), replace(SOURCE, snapshots=(own(1),)))
        assert own_snapshots(JOB, [finding]) == OwnSnapshots(frozenset(), frozenset())


class TestTakingOver:
    """A guest whose node was changed by hand in the cluster file."""

    @staticmethod
    async def fence(source: Dataset, target: Dataset | None) -> int | None:
        """The epoch with which alpha goes on, at epoch 2 so far."""
        here, there = (cast(ZfsClient, StampedNode(node, each)) for node, each in (("alpha", source), ("beta", target)))
        return (await take_over(Fence(JOB, "alpha", 2), [found(target, source)], here, there)).epoch

    async def test_needs_the_next_epoch_where_another_owner_stamped_a_volume_at_this_one(self) -> None:
        assert await self.fence(replace(SOURCE, owner="beta", epoch="2"), TARGET) == 3
        assert await self.fence(SOURCE, replace(TARGET, owner="gamma", epoch="2")) == 3

    async def test_leaves_the_epoch_where_no_volume_disputes_it(self) -> None:
        assert await self.fence(SOURCE, None) == 2
        assert (
            await self.fence(replace(SOURCE, owner="beta", epoch="1"), replace(TARGET, owner="alpha", epoch="2")) == 2
        )

    @pytest.mark.parametrize("epoch", ["3", "many"])
    async def test_is_refused_past_a_later_epoch_and_one_that_cannot_be_read(self, epoch: str) -> None:
        with pytest.raises(SupersededError):
            await self.fence(SOURCE, replace(TARGET, owner="beta", epoch=epoch))


class StampedNode:
    """A node whose stamps are all local."""

    def __init__(self, node: str, dataset: Dataset | None) -> None:
        self.node = node
        self._stamped = [] if dataset is None else [dataset.stamped]

    async def local_stamps(self, datasets: Sequence[str]) -> list[Stamped]:
        return self._stamped
