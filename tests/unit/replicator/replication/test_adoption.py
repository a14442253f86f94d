"""Adoption: which datasets on a target may become a job's replicas, and which are never touched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import pytest

from replicator.errors import ConfigError, SupersededError
from replicator.models import JobId, KnownSets, Volume
from replicator.replication.adoption import (
    Finding,
    KnownJobs,
    OwnSnapshots,
    Verdict,
    examine,
    own_snapshots,
    refuse_adoption,
    still_holds,
    take_over,
)
from replicator.replication.plan import VolumePair, choose_base
from replicator.replication.provenance import Direction, is_brought
from replicator.zfs.client import ZfsClient
from replicator.zfs.fence import Fence, Stamped
from replicator.zfs.model import Bookmark, Dataset, Snapshot
from replicator.zfs.snapshot_names import is_adopted_name, snapshot_name

JOB = JobId(100, 0)
NAME = "tank/vm-100-disk-0"


WAY = Direction(JOB, "alpha", "beta")
KNOWN_JOBS = KnownJobs(zsr=frozenset({JOB}))


def snap(guid: int, name: str | None = None) -> Snapshot:
    """A snapshot whose order is its GUID's."""
    return Snapshot(name or f"syncoid_{guid}", guid, createtxg=guid, creation=guid)


SOURCE = Dataset("rpool/vm-100-disk-0", is_volume=False, guid=1, snapshots=(snap(1), snap(2), snap(3)))
TARGET = Dataset(NAME, is_volume=False, guid=2, snapshots=(snap(1), snap(2)), readonly=False, mounted=False, written=0)


def found(
    target: Dataset | None, source: Dataset = SOURCE, way: Direction = WAY, known_jobs: KnownJobs = KNOWN_JOBS
) -> Finding:
    """What is found of one volume."""
    [finding] = examine(way, [VolumePair(Volume("data", "vm-100-disk-0"), "tank", source, NAME, target)], known_jobs)
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


def alien(guid: int, job: str = "100-7") -> Snapshot:
    """A snapshot as pvesr names it."""
    return snap(guid, snapshot_name(JobId.parse(job), 1000 + guid))


def renamed(finding: Finding) -> dict[str, str]:
    return {each.snapshot.name: each.new for each in finding.renames}


class TestSnapshotsOfAnotherTool:
    """pvesr destroys each volume on its target on which it finds a snapshot with its job's name."""

    @pytest.mark.parametrize("job", ["100-7", "100-0"])
    def test_get_a_name_that_the_other_tool_does_not_look_for(self, job: str) -> None:
        finding = found(replace(TARGET, snapshots=(snap(1), alien(2, job))))
        assert renamed(finding) == {f"__replicate_{job}_1002__": f"zsr-adopted_{job}_1002"}

    def test_stay_the_base(self) -> None:
        source, theirs = replace(SOURCE, snapshots=(alien(2), snap(3))), alien(2)
        adopted = replace(TARGET, snapshots=(replace(theirs, name="zsr-adopted_100-7_1002"),))
        base = choose_base(source, adopted)
        assert base == theirs, "the stream begins with the source's name, and receive looks for the GUID"
        assert renamed(found(adopted, source)) == {}

    def test_count_as_brought_from_then_on_and_go_when_their_source_is_gone(self) -> None:
        theirs = replace(alien(2), name="zsr-adopted_100-7_1002")
        finding = found(replace(TARGET, snapshots=(theirs, snap(3))))
        assert own_snapshots(JOB, [finding]).guids == {2}
        way = replace(WAY, known=KnownSets(sent=frozenset({2})))
        assert is_brought(way, SOURCE, theirs)
        assert not is_brought(WAY, SOURCE, theirs)
        by_name = replace(WAY, known=KnownSets(by_name=True))
        assert not is_brought(by_name, SOURCE, theirs), "a name never suffices"

    def test_are_recorded_in_the_adoption_that_renames_them(self) -> None:
        assert own_snapshots(JOB, [found(replace(TARGET, snapshots=(snap(1), alien(2))))]).guids == {2}

    def test_get_a_name_of_their_own(self) -> None:
        taken = snap(1, "zsr-adopted_100-7_1002")
        finding = found(replace(TARGET, snapshots=(taken, alien(2))))
        assert renamed(finding) == {alien(2).name: "zsr-adopted_100-7_1002."}
        assert is_adopted_name("zsr-adopted_100-7_1002.")

    def test_are_not_what_this_node_brought(self) -> None:
        way = replace(WAY, known=KnownSets(sent=frozenset({2})))
        assert renamed(found(replace(TARGET, snapshots=(snap(1), alien(2))), way=way)) == {}

    def test_are_not_the_sets_of_a_replica_whatever_job_of_zsr_took_them(self) -> None:
        replica = replace(TARGET, job="100-0", source="alpha", readonly=True, snapshots=(own(1), alien(2, "100-8")))
        assert renamed(found(replica, known_jobs=KnownJobs(frozenset({JOB, JobId(100, 8)})))) == {}
        assert renamed(found(replica)) == {alien(2, "100-8").name: "zsr-adopted_100-8_1002"}

    def test_are_on_a_replica_also_those_that_travelled_with_the_job_while_the_old_job_stands(self) -> None:
        way = replace(WAY, known=KnownSets(sent=frozenset({2})))
        replica = replace(TARGET, job="100-0", source="alpha", readonly=True, snapshots=(own(1), alien(2)))
        assert renamed(found(replica, way=way)) == {}
        stands = replace(KNOWN_JOBS, pvesr=frozenset({JobId(100, 7)}))
        assert renamed(found(replica, way=way, known_jobs=stands)) == {alien(2).name: "zsr-adopted_100-7_1002"}

    @pytest.mark.parametrize("target", [replace(TARGET, mounted=True), replace(TARGET, guid=9, snapshots=(alien(9),))])
    def test_of_a_dataset_that_is_not_adopted_keep_their_names(self, target: Dataset) -> None:
        finding = found(replace(target, snapshots=(*target.snapshots, alien(9))))
        assert finding.verdict in (Verdict.REFUSED, Verdict.NO_BASE)
        assert finding.renames == ()

    def test_that_appear_after_the_question_are_noticed(self) -> None:
        before, after = found(TARGET), found(replace(TARGET, snapshots=(*TARGET.snapshots, alien(5))))
        assert not still_holds([before], [after])


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
