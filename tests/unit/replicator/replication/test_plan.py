"""The plan of a run: what each volume needs, from the facts of both sides alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicator.errors import TargetActiveError
from replicator.models import KnownSets, Volume
from replicator.replication.held_sets import held_on_target, left_on_target
from replicator.replication.plan import (
    Action,
    CloneFromDiverged,
    Conflict,
    Full,
    Incremental,
    Promote,
    Rollback,
    SetAside,
    TagForeignSnapshots,
    VolumePair,
    choose_base,
    make_plan,
    needs_bookmarks,
    refuse_foreign,
)
from replicator.replication.provenance import Direction
from replicator.replication.trees import MoveAway, Rename
from replicator.zfs.model import Dataset, Snapshot
from replicator.zfs.snapshot_names import snapshot_name
from tests.support.volumes import JOB, WAY, bookmark, dataset, pair, snap


def plan_volume(
    way: Direction, volume: VolumePair, *, orphans: Sequence[Dataset] = (), diverged: Sequence[Dataset] = ()
) -> Action:
    """What the plan of a guest with this one volume says of it."""
    plan = make_plan(way, [volume], orphans, diverged)
    return plan.conflicts[0] if plan.conflicts else plan.actions[0]


def test_a_volume_that_the_target_lacks_is_sent_in_full() -> None:
    assert isinstance(plan_volume(WAY, pair(dataset(snap(1)), None)), Full)


def test_the_newest_common_snapshot_is_the_base_whichever_tool_made_it() -> None:
    backup = snap(5, "autosnap_daily")
    action = plan_volume(WAY, pair(dataset(snap(1), backup, snap(9)), dataset(snap(1), backup, job="100-1")))
    assert isinstance(action, Incremental)
    assert action.base == backup
    assert action.preparations == ()


def test_an_equal_name_with_another_guid_is_no_base() -> None:
    name = snapshot_name(JOB, 7)
    action = plan_volume(WAY, pair(dataset(snap(1, name)), dataset(snap(2, name))))
    assert isinstance(action, Conflict)
    assert isinstance(action.error, TargetActiveError)


def test_a_dataset_without_a_common_snapshot_that_is_not_ours_is_never_touched() -> None:
    action = plan_volume(WAY, pair(dataset(snap(1)), dataset(snap(2))))
    assert isinstance(action, Conflict)
    assert isinstance(action.error, TargetActiveError)


def test_our_replica_without_a_common_snapshot_is_kept_aside_and_the_volume_sent_in_full() -> None:
    """A disk that was re-created under the same name."""
    action = plan_volume(WAY, pair(dataset(snap(9)), dataset(snap(1), job="100-1")))
    assert isinstance(action, Full)
    assert action.preparations == (SetAside(None),)


def test_our_replica_of_another_kind_is_kept_aside_too() -> None:
    action = plan_volume(WAY, pair(dataset(snap(1), is_volume=True), dataset(snap(1), job="100-1")))
    assert isinstance(action, Full)
    assert action.preparations == (SetAside(None),)


def test_a_bookmark_is_the_base_when_the_snapshot_is_gone_from_the_source() -> None:
    old = snap(1, "user")
    action = plan_volume(WAY, pair(dataset(old, bookmarks=(bookmark(5),)), dataset(old, snap(5), job="100-1")))
    assert isinstance(action, Incremental)
    assert action.base == bookmark(5)
    assert action.preparations == ()


def test_bookmarks_are_needed_where_the_target_has_a_set_that_is_newer_than_the_newest_common_snapshot() -> None:
    old = snap(1, "user")
    assert needs_bookmarks(pair(dataset(old), dataset(old, snap(5), job="100-1")))
    assert needs_bookmarks(pair(dataset(old), None))
    assert not needs_bookmarks(pair(dataset(old, snap(5)), dataset(old, snap(5), job="100-1")))
    assert not needs_bookmarks(pair(dataset(snap(5)), dataset(snap(5), snap(7, "theirs"), job="100-1")))


def test_a_snapshot_is_preferred_to_its_own_bookmark() -> None:
    both = snap(5)
    assert choose_base(dataset(both, bookmarks=(bookmark(5),)), dataset(both)) == both


def test_a_replica_of_another_job_is_not_ours_to_write() -> None:
    action = plan_volume(WAY, pair(dataset(snap(1)), dataset(snap(1), job="100-10")))
    assert isinstance(action, Conflict)
    assert isinstance(action.error, TargetActiveError)
    assert "100-10" in str(action.error)


@pytest.mark.parametrize("shared", [snap(1), snap(1, "by-hand")], ids=["own-set", "by-hand"])
def test_an_unmarked_dataset_that_shares_a_snapshot_waits_to_be_adopted(shared: Snapshot) -> None:
    """It may be the live volume of a guest that was moved there, or another tool's replica."""
    action = plan_volume(WAY, pair(dataset(shared), dataset(shared)))
    assert isinstance(action, Conflict)
    assert isinstance(action.error, TargetActiveError)
    assert "zsr adopt 100-1" in action.error.advice
    assert 'guests.100.node = "beta"' in action.error.advice


def test_an_unmarked_replica_is_ours_where_zfs_sets_marks_only_after_a_transfer() -> None:
    late = replace(WAY, marks_late=True)
    assert isinstance(plan_volume(late, pair(dataset(snap(1)), dataset(snap(1)))), Incremental)
    assert isinstance(plan_volume(late, pair(dataset(snap(1)), dataset(snap(1, "by-hand")))), Conflict)


@pytest.mark.parametrize("source", ["omega", None])
def test_a_replica_from_another_source_is_a_conflict_whatever_it_shares(source: str | None) -> None:
    for target in (dataset(snap(1), job="100-1", source=source), dataset(snap(9), job="100-1", source=source)):
        action = plan_volume(WAY, pair(dataset(snap(1)), target))
        assert isinstance(action, Conflict)
        assert isinstance(action.error, TargetActiveError)
        assert "not from alpha" in action.error.what


FAILED_ONCE = replace(WAY, known=KnownSets(proven=1001, taken=(1001, 1002)))


def test_a_set_that_this_node_sent_and_never_proved_is_rolled_back() -> None:
    action = plan_volume(FAILED_ONCE, pair(dataset(snap(1)), dataset(snap(1), snap(2), job="100-1")))
    assert isinstance(action, Incremental)
    (step,) = action.preparations
    assert isinstance(step, Rollback)
    assert (step.permit.to, step.permit.destroyed) == (snap(1), (snap(2),))


@pytest.mark.parametrize(
    "known",
    [KnownSets(1002, (), (1001, 1002)), KnownSets(1001, (), (1001,)), KnownSets()],
    ids=["proven", "taken-elsewhere", "memory-lost"],
)
def test_any_other_set_that_is_newer_than_the_base_is_kept_aside(known: KnownSets) -> None:
    volume = pair(dataset(snap(1)), dataset(snap(1), snap(2), job="100-1"))
    action = plan_volume(replace(WAY, known=known), volume)
    assert isinstance(action, Incremental)
    assert action.preparations == (SetAside(snap(1)), Promote())


def test_what_an_earlier_source_wrote_before_its_last_snapshot_is_kept_aside_and_not_rolled_back() -> None:
    returned = dataset(snap(1), snap(2, written=4096), job="100-1")
    action = plan_volume(WAY, pair(dataset(snap(1), snap(3)), returned))
    assert isinstance(action, Incremental)
    assert action.preparations == (SetAside(snap(1)), Promote())


def test_a_replica_with_another_tools_newer_snapshot_is_kept_aside() -> None:
    action = plan_volume(
        WAY, pair(dataset(snap(1)), dataset(snap(1), snap(2), snap(3, "mine", written=5), job="100-1"))
    )
    assert isinstance(action, Incremental)
    assert action.preparations == (SetAside(snap(1)), Promote())


@pytest.mark.parametrize("name", ["mine", "__replicate_900-0_1700000000__"])
def test_another_tools_snapshot_that_holds_nothing_new_stays_where_it_is(name: str) -> None:
    """ZFS receives an increment onto an unchanged dataset, whatever snapshots of it were taken.

    Another zsr that replicates the replica further is such a tool.
    """
    action = plan_volume(WAY, pair(dataset(snap(1)), dataset(snap(1), snap(3, name, written=0), job="100-1")))
    assert action == Incremental(action.pair, snap(1), (TagForeignSnapshots((name,)),))
    sent = replace(WAY, known=KnownSets(sent=frozenset({3})))
    action = plan_volume(sent, pair(dataset(snap(1)), dataset(snap(1), snap(3, name, written=0), job="100-1")))
    assert action == Incremental(action.pair, snap(1)), "it travelled"
    marked = replace(snap(3, name, written=0), made_here=True)
    action = plan_volume(WAY, pair(dataset(snap(1)), dataset(snap(1), marked, job="100-1")))
    assert action == Incremental(action.pair, snap(1))


def test_a_replica_that_was_written_to_after_a_newer_snapshot_is_kept_aside() -> None:
    action = plan_volume(WAY, pair(dataset(snap(1)), dataset(snap(1), snap(2), job="100-1", written=4096)))
    assert isinstance(action, Incremental)
    assert action.preparations == (SetAside(snap(1)), Promote())


def test_a_writable_replica_is_in_use_and_left_alone() -> None:
    action = plan_volume(WAY, pair(dataset(snap(1)), dataset(snap(1), job="100-1", readonly=False)))
    assert isinstance(action, Conflict)
    assert isinstance(action.error, TargetActiveError)


@pytest.mark.parametrize("base", [1, 7], ids=["with-base", "without"])
def test_a_mounted_replica_is_not_put_aside(base: int) -> None:
    target = dataset(snap(1), snap(3, "mine", written=5), job="100-1", readonly=True, mounted=True)
    action = plan_volume(WAY, pair(dataset(snap(base)), target))
    assert isinstance(action, Conflict)
    assert "Unmount" in action.error.advice


def test_a_renamed_volumes_replica_is_renamed_and_not_destroyed() -> None:
    orphan = dataset(snap(1), name="pool/vm-100-disk-9", job="100-1")
    plan = make_plan(WAY, [pair(dataset(snap(1), snap(2)), None)], [orphan])
    (action,) = plan.actions
    assert isinstance(action, Incremental)
    assert action.preparations == (Rename("pool/vm-100-disk-9"),)
    assert plan.orphans == ()


def test_a_renamed_replica_is_rolled_back_under_the_name_that_it_has_by_then() -> None:
    orphan = dataset(snap(1), snap(2), name="pool/vm-100-disk-9", job="100-1")
    (action,) = make_plan(FAILED_ONCE, [pair(dataset(snap(1)), None)], [orphan]).actions
    rename, rollback = action.preparations
    assert rename == Rename("pool/vm-100-disk-9")
    assert isinstance(rollback, Rollback)
    assert rollback.permit.dataset == "pool/vm-100-disk-0"


def test_a_renamed_replica_in_use_is_reported_under_the_name_that_it_has() -> None:
    orphan = dataset(snap(1), name="pool/vm-100-disk-9", job="100-1", readonly=False)
    (conflict,) = make_plan(WAY, [pair(dataset(snap(1)), None)], [orphan]).conflicts
    assert "'pool/vm-100-disk-9'" in conflict.error.what


def test_a_renamed_raw_replica_stays_its_own_encryption_root() -> None:
    orphan = dataset(snap(1), name="pool/vm-100-disk-9", job="100-1", encryption_root="pool/vm-100-disk-9")
    (action,) = make_plan(WAY, [pair(dataset(snap(1), snap(2)), None)], [orphan]).actions
    assert action.pair.target is not None
    assert action.pair.target.encryption_root == "pool/vm-100-disk-0"


def test_a_replica_whose_volume_is_gone_stays_an_orphan() -> None:
    orphan = dataset(snap(7), name="pool/vm-100-disk-9", job="100-1")
    plan = make_plan(WAY, [pair(dataset(snap(1)), None)], [orphan])
    assert plan.orphans == (orphan,)


def test_a_replica_without_a_volume_that_is_half_received_is_not_renamed() -> None:
    """Its transfer would go on under another name; it stays where it is, and the volume is sent in full."""
    orphan = dataset(snap(1), name="pool/vm-100-disk-9", job="100-1", token="1-a-b-c")
    plan = make_plan(WAY, [pair(dataset(snap(1), snap(2)), None)], [orphan])
    assert plan.actions == (Full(pair(dataset(snap(1), snap(2)), None)),)
    assert plan.orphans == (orphan,)


def test_a_replica_whose_volume_is_gone_goes_to_one_volume_only() -> None:
    """A volume was cloned and its origin destroyed: both that are left share its snapshots' GUIDs."""
    orphan = dataset(snap(1), name="pool/vm-100-disk-9", job="100-1")
    first = pair(dataset(snap(1)), None)
    second = VolumePair(Volume("data", "vm-100-disk-1"), "pool", dataset(snap(1)), "pool/vm-100-disk-1", None)
    renamed, full = make_plan(WAY, [first, second], [orphan]).actions
    assert renamed.preparations == (Rename("pool/vm-100-disk-9"),)
    assert full == Full(second)


def test_a_replica_of_its_own_name_stays_with_its_volume_though_another_shares_its_snapshots() -> None:
    own = pair(dataset(snap(1), snap(2)), dataset(snap(1), name="pool/vm-100-disk-0", job="100-1"))
    other = VolumePair(Volume("data", "vm-100-disk-1"), "pool", dataset(snap(1)), "pool/vm-100-disk-1", None)
    first, second = make_plan(WAY, [own, other]).actions
    assert first == Incremental(own, snap(1))
    assert second == Full(other)


def test_a_renamed_volume_keeps_its_replica_also_when_a_new_one_took_its_name() -> None:
    new = pair(dataset(snap(9)), dataset(snap(1), name="pool/vm-100-disk-0", job="100-1"))
    moved = VolumePair(Volume("data", "vm-100-disk-1"), "pool", dataset(snap(1)), "pool/vm-100-disk-1", None)
    first, second = make_plan(WAY, [new, moved]).actions
    assert isinstance(first, Incremental)
    assert first.preparations == (Rename("pool/vm-100-disk-0"),)
    assert second == Full(replace(new, target=None))


def test_volumes_that_swapped_their_names_keep_their_replicas() -> None:
    names = ("pool/vm-100-disk-0", "pool/vm-100-disk-1")
    replicas = [dataset(snap(guid), name=name, job="100-1") for guid, name in zip((1, 2), names, strict=True)]
    swapped = [
        VolumePair(Volume("data", name[5:]), "pool", dataset(snap(guid)), name, replica)
        for guid, name, replica in zip((2, 1), names, replicas, strict=True)
    ]
    first, second = make_plan(WAY, swapped).actions
    parked = "pool/zsr-diverged/vm-100-disk-0-parked"
    assert first.preparations == (MoveAway(parked), Rename(names[1]))
    assert second.preparations == (Rename(parked),)
    killed = [replace(swapped[0], target=None), swapped[1]]  # after the first rename
    aside = replace(replicas[0], name=parked)
    first, second = make_plan(WAY, killed, (), [aside]).actions
    assert first.preparations == (Rename(names[1]),)
    assert second.preparations == (CloneFromDiverged(parked, snap(1)), Promote())


# What a run that died between rename, clone and promote left is gone on with.
KEPT = dataset(snap(1), snap(3, "mine", written=5), name="pool/zsr-diverged/vm-100-disk-0-7", job="100-1")


def test_a_run_that_died_after_the_rename_is_gone_on_with_by_clone_and_promote() -> None:
    action = plan_volume(WAY, pair(dataset(snap(1)), None), diverged=[KEPT])
    assert isinstance(action, Incremental)
    assert action.preparations == (CloneFromDiverged(KEPT.name, snap(1)), Promote())


def test_a_run_that_died_after_the_clone_is_gone_on_with_by_promote() -> None:
    clone = dataset(name="pool/vm-100-disk-0", job="100-1", origin=f"{KEPT.name}@{snap(1).name}")
    action = plan_volume(WAY, pair(dataset(snap(1)), clone), diverged=[KEPT])
    assert isinstance(action, Incremental)
    assert (action.base, action.preparations) == (snap(1), (Promote(),))


def test_what_is_aside_on_another_storage_begins_nothing() -> None:
    elsewhere = replace(KEPT, name="hdd/zsr-diverged/vm-100-disk-0-7")
    assert isinstance(plan_volume(WAY, pair(dataset(snap(1)), None), diverged=[elsewhere]), Full)


def test_after_the_promote_nothing_is_left_to_do() -> None:
    kept = replace(KEPT, snapshots=(snap(3, "mine", written=5),), origin="pool/vm-100-disk-0@x")
    action = plan_volume(WAY, pair(dataset(snap(1)), dataset(snap(1), job="100-1")), diverged=[kept])
    assert isinstance(action, Incremental)
    assert action.preparations == ()


def test_what_preparations_take_away_is_not_on_the_target_any_more() -> None:
    action = plan_volume(FAILED_ONCE, pair(dataset(snap(1)), dataset(snap(1), snap(2), job="100-1")))
    assert isinstance(action, Incremental)
    left = left_on_target(action).target
    assert left is not None
    assert left.snapshots == (snap(1),)


def test_a_set_that_is_kept_aside_is_still_held_on_the_target() -> None:
    """So a rollback on the source does not look like a lost replica."""
    proven = replace(WAY, known=KnownSets(1003, (), (1003,)))
    before = pair(dataset(snap(1)), dataset(snap(1), snap(3), job="100-1"))
    action = plan_volume(proven, before)
    assert isinstance(action, Incremental)
    assert held_on_target(action, ()) == before
    kept = dataset(snap(3), name=KEPT.name, job="100-1", origin="pool/vm-100-disk-0@x")
    again = plan_volume(proven, pair(dataset(snap(1)), dataset(snap(1), job="100-1")), diverged=[kept])
    assert isinstance(again, Incremental)
    held = held_on_target(again, [kept]).target
    assert held is not None
    assert [s.guid for s in held.snapshots] == [1, 3]


guids = st.sets(st.integers(1, 40), max_size=12)


@given(guids, guids)
def test_a_base_is_common_and_nothing_common_is_newer(here: set[int], there: set[int]) -> None:
    base = choose_base(dataset(*map(snap, here)), dataset(*map(snap, there)))
    assert (base.guid if base else None) == max(here & there, default=None)


@given(guids, guids, st.sets(st.integers(1, 40), max_size=5), guids, st.integers(0, 40), st.booleans())
def test_an_incremental_never_costs_the_target_a_proven_set_or_what_this_node_did_not_take(
    here: set[int], there: set[int], foreign: set[int], taken: set[int], proven: int, written: bool
) -> None:
    target = dataset(
        *(snap(guid, f"user-{guid}" if guid in foreign else None) for guid in there),
        job="100-1",
        written=1 if written else 0,
    )
    known = KnownSets(1000 + proven if proven else None, (), tuple(1000 + guid for guid in taken))
    action = plan_volume(replace(WAY, known=known), pair(dataset(*map(snap, here)), target))
    for step in action.preparations if isinstance(action, Incremental) else ():
        if isinstance(step, Rollback):
            newer = [s for s in target.snapshots if s.createtxg > step.permit.to.createtxg]
            assert all(s.job == JOB and s.guid in taken and s.guid > proven for s in newer)
            assert not written


HALF = "1-a-b-c"


@pytest.mark.parametrize(
    "there",
    [
        dataset(name="pool/vm-100-disk-0", token=HALF, borrowed_marks=True),
        dataset(snap(1), name="pool/vm-100-disk-0", token=HALF),
    ],
    ids=["a copy of a replica", "with snapshots"],
)
def test_an_unmarked_dataset_that_is_half_received_is_no_replica_that_lacks_its_marks(there: Dataset) -> None:
    with pytest.raises(TargetActiveError):
        refuse_foreign(WAY, [pair(dataset(snap(1), snap(2)), there)])


def test_one_that_is_half_received_and_nothing_else_is_the_beginning_of_a_replica() -> None:
    refuse_foreign(WAY, [pair(dataset(snap(1)), dataset(name="pool/vm-100-disk-0", token=HALF))])
