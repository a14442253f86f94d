"""What may be destroyed: each decision, and the laws of destruction over random facts."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicator.errors import TargetActiveError
from replicator.models import JobId, KnownSets
from replicator.replication.destruction import (
    KeepAside,
    decide_all_bookmarks,
    decide_diverged,
    decide_half_received,
    decide_old_on_source,
    decide_removal,
    decide_removed_jobs_snapshots,
    decide_rollback,
    decide_superseded,
    decide_unproven,
    decide_unproven_on_source,
    decide_useless_set,
)
from replicator.schedule.retention import RetentionPolicy
from replicator.zfs.fence import Fence
from replicator.zfs.model import Dataset, Inventory, Snapshot
from replicator.zfs.permits import ReplicaPermit, RollbackPermit, SnapshotsPermit
from replicator.zfs.snapshot_names import snapshot_name
from tests.support.volumes import JOB, WAY, bookmark, dataset, snap

NOW = 10_000.0
ONE = RetentionPolicy.parse("1")
OTHER_JOB = JobId(100, 2)
PROVEN = KnownSets(proven=1002, volumes=("data:vm-100-disk-0",), taken=(1001, 1002, 1003, 1004))


def guids(permit: SnapshotsPermit | RollbackPermit | None) -> list[int]:
    """The GUIDs that a permit lets go."""
    if permit is None:
        return []
    return [s.guid for s in (permit.destroyed if isinstance(permit, RollbackPermit) else permit.snapshots)]


def replica(*snapshots: Snapshot, **more: object) -> Dataset:
    """A replica of the job from alpha, as it should be."""
    return dataset(*snapshots, **{"name": "pool/a", "job": str(JOB), "readonly": True, **more})  # type: ignore[arg-type]


# --- each decision


def test_every_permit_for_the_target_has_the_fence() -> None:
    fence = Fence(JOB, "alpha", 2)
    way = replace(WAY, known=PROVEN, fence=fence)
    target = replica(snap(1), snap(2), snap(3), snap(4))
    removal, rollback = decide_removal(way, target), decide_rollback(way, target, snap(2))
    assert isinstance(removal, ReplicaPermit)
    assert rollback is not None
    [superseded] = decide_superseded(way, ONE, [(dataset(snap(4)), target)], snap(4).name, NOW)
    unproven = decide_unproven(way, target, "")
    assert {removal.fence, rollback.fence, unproven.fence, superseded.fence} == {fence}


@pytest.mark.parametrize(
    "target",
    [replica(snap(2), snap(3), written=512), replica(snap(2), snap(3), source="gamma"), replica(snap(1), snap(2))],
    ids=["written to", "another node's", "a proven set is newer"],
)
def test_no_rollback_takes_what_was_written_nor_what_is_proven_nor_what_is_not_ours(target: Dataset) -> None:
    assert decide_rollback(replace(WAY, known=PROVEN), target, target.snapshots[0]) is None


def test_a_set_that_was_just_proven_stays_though_a_clock_that_was_set_back_says_that_it_is_of_the_future() -> None:
    way = replace(WAY, known=PROVEN)
    [permit] = decide_superseded(way, ONE, [(dataset(snap(99)), replica(snap(2), snap(99)))], snap(99).name, 1003.0)
    assert guids(permit) == []


def test_a_rollback_takes_no_set_of_another_job_of_the_same_second() -> None:
    others = snap(3, snapshot_name(OTHER_JOB, 1003))
    assert decide_rollback(replace(WAY, known=PROVEN), replica(snap(2), others), snap(2)) is None


def test_what_others_took_is_superseded_by_its_guid_and_not_by_its_name() -> None:
    name = snapshot_name(OTHER_JOB, 5)
    way = replace(WAY, known=replace(PROVEN, sent=frozenset({5, 9})))
    [permit] = decide_superseded(
        way, ONE, [(dataset(snap(6, name), snap(9)), replica(snap(5, name), snap(9)))], snap(9).name, NOW
    )
    assert guids(permit) == [5]


def test_a_snapshot_that_another_nodes_zsr_took_is_not_ours_without_memory() -> None:
    source = dataset(replace(snap(1), source="gamma"), replace(snap(2), source="alpha"), snap(3))
    assert guids(decide_old_on_source(WAY, source, ())) == [2]


def test_other_jobs_snapshots_stay_on_the_target_as_long_as_the_source_has_them() -> None:
    other = snapshot_name(OTHER_JOB, 5)
    source = dataset(snap(9), snap(5, other))
    target = replica(snap(9), snap(4, snapshot_name(OTHER_JOB, 4)), snap(5, other))
    way = replace(WAY, known=KnownSets(sent=frozenset({4, 5})))
    (permit,) = decide_superseded(way, ONE, [(source, target)], snap(9).name, NOW)
    assert permit.names == [f"pool/a@{snapshot_name(OTHER_JOB, 4)}"]


def test_a_set_of_another_job_stays_while_a_promoted_clone_on_the_source_has_it() -> None:
    theirs = snap(4, snapshot_name(OTHER_JOB, 4))
    way = replace(WAY, known=KnownSets(proven=1009, taken=(1009,), sent=frozenset({4, 9})))
    both = (dataset(snap(9)), replica(theirs, snap(9)))
    (permit,) = decide_superseded(way, ONE, [both], snap(9).name, NOW)
    assert guids(permit) == [4]
    (permit,) = decide_superseded(way, ONE, [both, (dataset(theirs, snap(9), name="tank/b"), None)], snap(9).name, NOW)
    assert guids(permit) == []


def test_sets_that_this_node_sent_and_that_never_became_whole_may_go() -> None:
    target = replica(snap(1), snap(2), snap(3), snap(4), snap(9, "theirs"))
    way = replace(WAY, known=PROVEN)
    assert guids(decide_unproven(way, target, snap(4).name)) == [3]
    assert guids(decide_unproven(replace(way, known=replace(PROVEN, proven=None)), target, "")) == [1, 2, 3, 4]


def test_a_set_that_this_node_does_not_remember_taking_stays() -> None:
    target = replica(snap(1), snap(2), snap(3))
    assert guids(decide_unproven(replace(WAY, known=replace(PROVEN, taken=(1001, 1002))), target, "")) == []


def test_a_new_owner_keeps_the_sets_that_it_received_as_a_target() -> None:
    source = dataset(snap(1), snap(2), snap(8), snap(9), job=str(JOB), source="beta")
    known = KnownSets(proven=1008, taken=(1008, 1009))
    way, keep = replace(WAY, known=known), {snap(9).name}
    assert guids(decide_old_on_source(way, source, keep)) == [8]
    assert guids(decide_old_on_source(WAY, source, keep)) == []
    returned = replace(way, known=replace(known, taken=(1001, 1008, 1009)))  # it was the owner before, too
    assert guids(decide_old_on_source(returned, source, keep)) == [8]


def test_a_snapshot_of_another_tool_in_our_format_stays_on_the_source() -> None:
    """The peer's first job of a guest has the same id, and its snapshots the same names."""
    source = dataset(snap(1), replace(snap(2), source="alpha"), snap(3), snap(4, snapshot_name(OTHER_JOB, 4)))
    assert guids(decide_old_on_source(replace(WAY, known=KnownSets(taken=(1003,))), source, ())) == [2, 3]
    assert guids(decide_removed_jobs_snapshots(replace(WAY, known=KnownSets(taken=(1003,))), source)) == [2, 3]


def test_a_job_from_before_the_memory_of_guids_still_knows_its_snapshots_by_name() -> None:
    way = replace(WAY, known=KnownSets(by_name=True))
    source, target = dataset(snap(1), snap(3)), replica(snap(1), snap(2), snap(3))
    assert guids(decide_old_on_source(way, source, {snap(3).name})) == [1]
    (permit,) = decide_superseded(way, ONE, [(source, target)], snap(3).name, NOW)
    assert guids(permit) == [1, 2]


def test_a_mark_that_a_former_replica_passes_on_to_its_snapshots_says_nothing() -> None:
    source = dataset(replace(snap(1), source="alpha"), replace(snap(2), source="alpha"), source="alpha")
    assert guids(decide_old_on_source(WAY, source, ())) == []


def test_a_mark_that_a_former_replica_passes_on_lets_none_of_its_sets_go_with_the_job() -> None:
    source = dataset(replace(snap(1), source="alpha"), replace(snap(2), source="alpha"), source="alpha")
    assert guids(decide_removed_jobs_snapshots(WAY, source)) == []


def test_a_mark_that_a_former_replica_passes_on_does_not_say_who_brought_its_sets_to_the_target() -> None:
    source = dataset(replace(snap(1), source="alpha"), replace(snap(9), source="alpha"), source="alpha")
    (permit,) = decide_superseded(WAY, ONE, [(source, replica(snap(1), snap(9)))], snap(9).name, NOW)
    assert guids(permit) == []


def test_only_what_this_node_brought_to_the_target_is_superseded_there() -> None:
    """The others have the job's name: the peer's, or those of a time that this node does not remember."""
    source, target = dataset(snap(9)), replica(*map(snap, range(1, 6)), snap(9))
    way = replace(WAY, known=KnownSets(taken=(1003,), sent=frozenset({2, 4})))
    (permit,) = decide_superseded(way, ONE, [(source, target)], snap(9).name, NOW)
    assert guids(permit) == [2, 3, 4]


def test_snapshots_that_stay_take_no_place_among_the_restore_points() -> None:
    source, target = dataset(snap(9)), replica(*map(snap, range(1, 10)))
    way = replace(WAY, known=KnownSets(sent=frozenset({1, 2, 3, 9})))
    (permit,) = decide_superseded(way, RetentionPolicy.parse("3"), [(source, target)], snap(9).name, NOW)
    assert guids(permit) == [1]


def test_sets_of_another_tool_that_travelled_take_no_place_and_go_when_their_source_is_gone() -> None:
    """The peer's job of the same id keeps one snapshot, which each stream carries along."""
    source = dataset(snap(4), snap(9))
    target = replica(snap(1), snap(2), snap(3), snap(4), snap(9))
    known = KnownSets(sent=frozenset({1, 2, 3, 4, 9}), carried=frozenset({3, 4}))
    keep = RetentionPolicy.parse("2")
    (permit,) = decide_superseded(replace(WAY, known=known), keep, [(source, target)], snap(9).name, NOW)
    assert guids(permit) == [1, 3]


def test_without_memory_the_mark_of_the_sources_snapshot_says_whose_it_is_on_the_target() -> None:
    source = dataset(replace(snap(1), source="alpha"), snap(2), replace(snap(9), source="alpha"))
    (permit,) = decide_superseded(WAY, ONE, [(source, replica(snap(1), snap(2), snap(9)))], snap(9).name, NOW)
    assert guids(permit) == [1]


def test_a_set_that_cannot_be_sent_goes_only_where_this_run_took_it() -> None:
    """In the other pool it was refused: a snapshot of that name was there already, and is somebody's."""
    name = snap(7).name
    found = Inventory({name: dataset(snap(7), snap(1), name=name) for name in ("tank/a", "pond/a")})
    (permit,) = decide_useless_set(found, name, ["tank"])
    assert permit.names == [f"tank/a@{name}"]


def test_a_proven_set_stays_on_the_source_until_a_newer_one_is_proven() -> None:
    """Also when this target lacks it: the job was edited by mistake, or its replica was renamed for a while."""
    source = dataset(snap(1), snap(2), snap(3), snap(4, "user"), snap(5))
    way = replace(WAY, known=KnownSets(1002, (), (1001, 1002, 1003, 1005)))
    assert guids(decide_unproven_on_source(way, source, snap(5).name)) == [3]
    elsewhere = replace(way, known=replace(way.known, proven=None, elsewhere=1003))
    assert guids(decide_unproven_on_source(elsewhere, source, "")) == [5]
    assert guids(decide_unproven_on_source(WAY, source, "")) == []


def test_what_a_removed_job_had_on_a_source_goes_but_nothing_that_a_former_replica_had_received() -> None:
    source = dataset(snap(1), snap(2, "user"), snap(3, snapshot_name(OTHER_JOB, 3)), bookmarks=(bookmark(1),))
    way = replace(WAY, known=PROVEN)
    assert guids(decide_removed_jobs_snapshots(way, source)) == [1]
    assert len(decide_all_bookmarks(JOB, source).bookmarks) == 1
    moved = dataset(snap(1), snap(6), snap(8), job=str(JOB), source="beta")
    assert guids(decide_removed_jobs_snapshots(replace(way, known=replace(PROVEN, taken=(1001, 1008))), moved)) == [8]
    assert guids(decide_removed_jobs_snapshots(way, replace(source, job=str(JOB)))) == [1]


def test_the_replica_of_a_removed_job_goes_with_the_snapshots_that_it_has_now() -> None:
    found = replica(snap(1), snap(2, "user"), snap(3))
    permit = decide_removal(WAY, found)
    assert not isinstance(permit, KeepAside)
    assert (permit.dataset, permit.guid, permit.snapshots) == (found.name, found.guid, found.snapshots)
    assert (permit.job, permit.source, permit.kept_aside) == (str(JOB), "alpha", False)


CHAIN = "__replicate_900-0_1700000000__"
"""The name of a snapshot that another zsr takes of a replica, to replicate it further."""


@pytest.mark.parametrize("name", ["theirs", CHAIN])
def test_a_replica_with_a_snapshot_created_on_the_target_is_kept_aside(name: str) -> None:
    for made in (snap(4, name), replace(snap(2, name), made_here=True)):
        assert decide_removal(WAY, replica(snap(1), snap(3), made)) == KeepAside(made)


def test_a_snapshot_of_another_job_that_travelled_without_a_set_after_it_keeps_no_replica() -> None:
    way = replace(WAY, known=KnownSets(sent=frozenset({1, 4})))
    assert not isinstance(decide_removal(way, replica(snap(1), snap(4, CHAIN))), KeepAside)


def test_an_unfinished_first_transfer_is_not_in_use_though_bytes_were_written() -> None:
    assert not isinstance(decide_removal(WAY, replica(written=512, token="1-abc")), KeepAside)


def test_a_persons_order_and_a_half_received_state_name_what_was_shown() -> None:
    order = decide_diverged("pool/zsr-diverged/a-1", 7, (snap(1),), JOB)
    assert (order.dataset, order.guid, order.snapshots, order.kept_aside) == (
        "pool/zsr-diverged/a-1", 7, (snap(1),), True,
    )  # fmt: skip
    assert decide_half_received(replica(), "1-abc", "it cannot be resumed").token == "1-abc"


# --- the laws, over random facts

NAMES = st.sampled_from(["own", "other job", "user"])


@st.composite
def snapshots(draw: st.DrawFn) -> tuple[Snapshot, ...]:
    """Snapshots of this job, of another one, and of the user."""
    found = []
    for guid in sorted(draw(st.sets(st.integers(1, 30), max_size=8))):
        kind = draw(NAMES)
        name = {"own": None, "other job": snapshot_name(OTHER_JOB, 1000 + guid), "user": f"user{guid}"}[kind]
        made_here = kind == "user" and draw(st.booleans())
        found.append(replace(snap(guid, name, written=draw(st.sampled_from([0, 0, 512]))), made_here=made_here))
    return tuple(found)


TIMES = st.sets(st.integers(1001, 1030), max_size=8)
KNOWN = st.builds(
    lambda proven, taken, sent: KnownSets(proven, (), tuple(sorted(taken)), frozenset(sent)),
    st.none() | st.integers(1001, 1030),
    TIMES,
    st.sets(st.integers(1, 30), max_size=8),
)


@st.composite
def targets(draw: st.DrawFn) -> Dataset:
    """A dataset on the target: marked or not, by whom ever, in use or not."""
    return dataset(
        *draw(snapshots()),
        name="pool/a",
        job=draw(st.sampled_from([str(JOB), str(JOB), None, str(OTHER_JOB)])),
        source=draw(st.sampled_from(["alpha", "alpha", "gamma", None])),
        written=draw(st.sampled_from([0, 0, 512])),
        readonly=draw(st.sampled_from([True, True, False, None])),
    )


@given(targets(), KNOWN, st.integers(1, 30), snapshots())
def test_law_1_proven_stays_until_something_newer_is_proven(
    target: Dataset, known: KnownSets, at: int, here: tuple[Snapshot, ...]
) -> None:
    way = replace(WAY, known=known)
    gone = guids(decide_unproven(way, target, ""))
    gone += [guid for to in target.snapshots for guid in guids(decide_rollback(way, target, to))]
    assert all(known.proven is None or 1000 + guid > known.proven for guid in gone)
    new = snap(at)
    arrived = replace(target, snapshots=tuple(sorted({*target.snapshots, new}, key=lambda s: s.createtxg)))
    for permit in decide_superseded(way, ONE, [(dataset(*here, new), arrived)], new.name, NOW):
        assert new not in permit.snapshots


@given(targets(), KNOWN, snapshots())
def test_law_2_nothing_goes_from_a_dataset_that_is_not_ours_and_no_set_that_this_node_did_not_take(
    target: Dataset, known: KnownSets, here: tuple[Snapshot, ...]
) -> None:
    way = replace(WAY, known=known)
    gone = guids(decide_unproven(way, target, ""))
    gone += [guid for to in target.snapshots for guid in guids(decide_rollback(way, target, to))]
    if (target.job, target.source) != (str(JOB), "alpha"):
        assert gone == []
    own = {s.guid for s in target.snapshots if s.job == JOB}
    assert all(guid in own and 1000 + guid in known.taken for guid in gone)
    for source in (dataset(*here), dataset(*here, job=str(JOB), source="beta")):
        assert all(1000 + guid in known.taken for guid in guids(decide_old_on_source(way, source, ())))
        (permit,) = decide_superseded(way, ONE, [(source, target)], "", NOW)
        assert all(guid in known.sent or 1000 + guid in known.taken for guid in guids(permit))


@given(targets())
def test_law_3_what_is_in_use_is_not_destroyed_nor_rolled_back(target: Dataset) -> None:
    way = replace(WAY, known=KnownSets(None, (), tuple(range(1001, 1031))))
    if target.written:
        assert all(decide_rollback(way, target, to) is None for to in target.snapshots)
    if target.readonly is False or (target.written and target.snapshots):
        with pytest.raises(TargetActiveError):
            decide_removal(WAY, target)


@given(targets(), KNOWN, snapshots())
def test_law_6_snapshots_of_the_user_are_in_no_permit(
    target: Dataset, known: KnownSets, here: tuple[Snapshot, ...]
) -> None:
    way, source = replace(WAY, known=known), dataset(*here)
    permits: list[SnapshotsPermit | RollbackPermit] = [
        decide_unproven(way, target, ""),
        decide_old_on_source(way, source, ()),
        decide_removed_jobs_snapshots(way, source),
        *decide_superseded(way, ONE, [(source, target)], "", NOW),
        *(permit for to in target.snapshots if (permit := decide_rollback(way, target, to)) is not None),
    ]
    assert not any(s.name.startswith("user") for permit in permits for s in _snapshots(permit))


@given(targets())
def test_law_6_a_snapshot_created_on_the_target_keeps_its_replica(target: Dataset) -> None:
    if any(s.made_here for s in target.snapshots) and target.readonly is not False and not target.written:
        assert isinstance(decide_removal(WAY, target), KeepAside)


@given(targets())
def test_law_7_without_memory_nothing_is_rolled_back_or_counts_as_unproven_or_superseded(target: Dataset) -> None:
    (permit,) = decide_superseded(WAY, ONE, [(dataset(), target)], "", NOW)
    assert guids(permit) == []
    assert guids(decide_unproven(WAY, target, "")) == []
    newer = [to for to in target.snapshots if any(s.createtxg > to.createtxg for s in target.snapshots)]
    assert all(decide_rollback(WAY, target, to) is None for to in newer)


@given(snapshots(), st.sampled_from(["tank", "pond"]), st.integers(1, 30))
def test_law_8_a_useless_set_is_only_that_of_this_run(found: tuple[Snapshot, ...], pool: str, at: int) -> None:
    everywhere = Inventory({name: dataset(*found, name=name) for name in ("tank/a", "pond/a")})
    permits = decide_useless_set(everywhere, snap(at).name, [pool])
    assert all(permit.dataset == f"{pool}/a" for permit in permits)
    assert {s.name for permit in permits for s in permit.snapshots} <= {snap(at).name}


def _snapshots(permit: SnapshotsPermit | RollbackPermit) -> tuple[Snapshot, ...]:
    return permit.destroyed if isinstance(permit, RollbackPermit) else permit.snapshots
