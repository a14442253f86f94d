"""The plan of a run: what each volume needs, from the facts of both sides alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicator.errors import DivergedError, NoCommonBaseError, TargetActiveError
from replicator.jobs import JobId, Volume
from replicator.replication.plan import (
    Conflict,
    Full,
    Incremental,
    Proof,
    Sides,
    choose_base,
    guest_volumes,
    plan_volume,
    proven_sync,
    stale_on_source,
    stale_on_target,
    unreplicated_bytes,
)
from replicator.zfs.facts import Dataset, Inventory, Snapshot, snapshot_name

JOB = JobId(100, 1)


def snap(guid: int, name: str | None = None, *, written: int | None = 0) -> Snapshot:
    """A snapshot whose order is its GUID's; named as the job's own unless told otherwise."""
    return Snapshot(name or snapshot_name(JOB, 1000 + guid), guid, createtxg=guid, creation=guid, written=written)


def dataset(*snapshots: Snapshot, job: str | None = None, written: int | None = 0, is_volume: bool = False) -> Dataset:
    """A dataset with these snapshots, oldest first."""
    return Dataset("tank/a", is_volume, 1, tuple(sorted(snapshots, key=lambda s: s.createtxg)), written, None, job)


def sides(source: Dataset, target: Dataset | None) -> Sides:
    """One volume as found on both sides."""
    return Sides(Volume("data", "vm-100-disk-0"), "pool", source, "pool/vm-100-disk-0", target)


def test_a_volume_that_the_target_lacks_is_sent_in_full() -> None:
    assert isinstance(plan_volume(JOB, sides(dataset(snap(1)), None)), Full)


def test_the_newest_common_snapshot_is_the_base_whoever_made_it() -> None:
    backup = snap(5, "autosnap_daily")
    action = plan_volume(JOB, sides(dataset(snap(1), backup, snap(9)), dataset(snap(1), backup, job="100-1")))
    assert isinstance(action, Incremental)
    assert action.base == backup
    assert action.rollback is None


def test_an_equal_name_with_another_guid_is_no_base() -> None:
    name = snapshot_name(JOB, 7)
    action = plan_volume(JOB, sides(dataset(snap(1, name)), dataset(snap(2, name), job="100-1")))
    assert isinstance(action, Conflict)
    assert isinstance(action.error, NoCommonBaseError)


def test_a_target_without_any_snapshot_is_never_written_over() -> None:
    action = plan_volume(JOB, sides(dataset(snap(1)), dataset(job="100-1")))
    assert isinstance(action, Conflict)


def test_a_replica_of_another_job_is_not_ours_to_write() -> None:
    action = plan_volume(JOB, sides(dataset(snap(1)), dataset(snap(1), job="100-10")))
    assert isinstance(action, Conflict)
    assert isinstance(action.error, TargetActiveError)
    assert "100-10" in str(action.error)


def test_an_unmarked_dataset_with_this_jobs_own_common_snapshot_is_its_replica() -> None:
    """So the peer's replicas are adopted, and a run that died before the mark was set is not stuck."""
    assert isinstance(plan_volume(JOB, sides(dataset(snap(1)), dataset(snap(1)))), Incremental)


def test_an_unmarked_dataset_with_only_foreign_common_snapshots_is_left_alone() -> None:
    both = snap(1, "by-hand")
    action = plan_volume(JOB, sides(dataset(both), dataset(both)))
    assert isinstance(action, Conflict)
    assert isinstance(action.error, TargetActiveError)


def test_zsrs_own_newer_snapshots_on_the_replica_are_rolled_back() -> None:
    action = plan_volume(JOB, sides(dataset(snap(1)), dataset(snap(1), snap(2), job="100-1")))
    assert isinstance(action, Incremental)
    assert action.rollback == snap(1)


def test_somebody_elses_newer_snapshot_on_the_replica_stops_the_run() -> None:
    action = plan_volume(JOB, sides(dataset(snap(1)), dataset(snap(1), snap(2), snap(3, "mine"), job="100-1")))
    assert isinstance(action, Conflict)
    assert isinstance(action.error, DivergedError)
    assert "mine" in str(action.error)


def test_a_replica_that_was_written_to_is_never_rolled_back() -> None:
    action = plan_volume(JOB, sides(dataset(snap(1)), dataset(snap(1), snap(2), job="100-1", written=4096)))
    assert isinstance(action, Conflict)
    assert isinstance(action.error, DivergedError)


def test_a_zvol_is_not_received_onto_a_filesystem() -> None:
    target = dataset(snap(1), job="100-1", is_volume=False)
    assert isinstance(plan_volume(JOB, sides(dataset(snap(1), is_volume=True), target)), Conflict)


guids = st.sets(st.integers(1, 40), max_size=12)


@given(guids, guids)
def test_a_base_is_common_and_nothing_common_is_newer(here: set[int], there: set[int]) -> None:
    base = choose_base(dataset(*map(snap, here)), dataset(*map(snap, there)))
    assert (base.guid if base else None) == max(here & there, default=None)


@given(guids, guids, st.sets(st.integers(1, 40), max_size=5), st.booleans())
def test_an_incremental_never_costs_the_target_what_zsr_did_not_make(
    here: set[int], there: set[int], foreign: set[int], written: bool
) -> None:
    target = dataset(
        *(snap(guid, f"user-{guid}" if guid in foreign else None) for guid in there),
        job="100-1",
        written=1 if written else 0,
    )
    action = plan_volume(JOB, sides(dataset(*map(snap, here)), target))
    if isinstance(action, Incremental) and action.rollback is not None:
        lost = [s for s in target.snapshots if s.createtxg > action.rollback.createtxg]
        assert all(s.job == JOB for s in lost)
        assert not written


@given(guids, guids, st.integers(1, 40))
def test_tidying_keeps_the_new_snapshot_and_everything_that_is_not_zsrs(
    here: set[int], there: set[int], new: int
) -> None:
    source = dataset(*map(snap, here | {new}), snap(50, "user"))
    target = dataset(*map(snap, there | {new}), snap(51, "theirs"))
    keep = snapshot_name(JOB, 1000 + new)
    gone = [*stale_on_source(JOB, source, keep), *stale_on_target(JOB, target, source, keep)]
    assert all(s.job == JOB and s.name != keep for s in gone)


def test_other_jobs_snapshots_stay_on_the_target_as_long_as_the_source_has_them() -> None:
    other = snapshot_name(JobId(100, 2), 5)
    source = dataset(snap(9), snap(5, other))
    target = dataset(snap(9), snap(4, snapshot_name(JobId(100, 2), 4)), snap(5, other))
    stale = stale_on_target(JOB, target, source, snapshot_name(JOB, 1009))
    assert [s.guid for s in stale] == [4]


def test_last_sync_is_the_newest_set_that_every_volume_has_on_both_sides() -> None:
    first = sides(dataset(snap(1), snap(2), snap(3)), dataset(snap(1), snap(2), snap(3)))
    second = sides(dataset(snap(1), snap(2), snap(3)), dataset(snap(1), snap(2)))
    assert proven_sync(JOB, [first, second]) == Proof(1002)


def test_last_sync_is_taken_back_when_a_replica_is_gone() -> None:
    """Silence about it would be the one unforgivable thing."""
    whole = sides(dataset(snap(1)), dataset(snap(1)))
    assert proven_sync(JOB, [whole, sides(dataset(snap(1)), None)]) == Proof(None)


def test_a_new_volume_does_not_take_back_what_the_others_have() -> None:
    whole = sides(dataset(snap(1)), dataset(snap(1)))
    assert proven_sync(JOB, [whole, sides(dataset(snap(5, "user")), None)]) == Proof(1001)


def test_a_source_without_any_snapshot_of_the_job_cannot_tell_what_the_target_holds() -> None:
    assert proven_sync(JOB, [sides(dataset(snap(5, "user")), dataset(snap(1)))]) is None


def test_what_would_be_lost_is_all_that_was_written_after_the_base() -> None:
    source = dataset(snap(1, written=7), snap(2, "user", written=100), written=30)
    assert unreplicated_bytes(source, 1) == 130
    assert unreplicated_bytes(source, None) == 137


def test_what_would_be_lost_is_unknown_where_zfs_cannot_tell() -> None:
    assert unreplicated_bytes(dataset(snap(1), written=None), 1) is None


@pytest.mark.parametrize(
    ("name", "is_guests"),
    [
        ("vm-100-disk-0", True),
        ("subvol-100-disk-1", True),
        ("base-100-disk-0", True),
        ("basevol-100-disk-0", True),
        ("vm-1000-disk-0", False),
        ("vm-10-disk-0", False),
        ("backup", False),
    ],
)
def test_a_guests_volumes_are_found_by_name(name: str, is_guests: bool) -> None:
    paths = ("tank/data", f"tank/data/{name}", f"tank/data/x/{name}", f"tank/other/{name}")
    inventory = Inventory({path: replace(dataset(), name=path) for path in paths})
    assert guest_volumes(inventory, "tank/data", "data", 100) == ([Volume("data", name)] if is_guests else [])
