"""What a run would destroy and what it would leave, with the law that decides."""

from __future__ import annotations

from dataclasses import replace

import pytest

from replicator.models import JobId, Volume
from replicator.replication.destruction import KeepAside, Stays
from replicator.replication.preview import When
from replicator.zfs.model import MADE_HERE
from replicator.zfs.permits import Law, ReplicaPermit
from replicator.zfs.snapshot_names import snapshot_name
from tests.support.foreseeing import NOW, REPLICA, all_destructions, doomed, facts, left, named, remembered, replica
from tests.support.resume_tokens import make_token
from tests.support.volumes import bookmark, dataset, pair, snap

SOURCE = "tank/a"


def test_the_older_set_goes_on_both_sides_after_the_proof() -> None:
    found = facts(pair(dataset(snap(1), written=5), replica(snap(1))), synced=remembered(1, 1))

    assert doomed(found) == {
        f"{SOURCE}@{snap(1).name}": (When.PROVEN, Law.OURS),
        f"{REPLICA}@{snap(1).name}": (When.PROVEN, Law.PROVEN_STAYS),
    }


def test_restore_points_that_keep_needs_stay() -> None:
    both = pair(dataset(snap(2), written=5), replica(snap(1), snap(2)))

    assert doomed(facts(both, synced=remembered(2, 1, 2), keep="2")).keys() == {
        *named(SOURCE, snap(2)),
        *named(REPLICA, snap(1)),
    }


def test_a_run_that_finds_nothing_written_destroys_nothing() -> None:
    both = pair(dataset(snap(1), snap(2)), replica(snap(1), snap(2)))

    assert doomed(facts(both, synced=remembered(2, 1, 2), may_snapshot_first=True)) == {}


def test_a_run_in_doubt_tidies_up_also_where_nothing_was_written() -> None:
    both = pair(dataset(snap(1), snap(2)), replica(snap(1), snap(2)))

    assert doomed(facts(both, synced=remembered(2, 1, 2))) == {
        f"{SOURCE}@{snap(1).name}": (When.PROVEN, Law.OURS),
        f"{REPLICA}@{snap(1).name}": (When.PROVEN, Law.PROVEN_STAYS),
    }


def test_sets_of_failed_runs_go_before_the_snapshot_on_the_source_and_by_rollback_on_the_target() -> None:
    broken = pair(dataset(snap(1), snap(3), written=5), replica(snap(1), snap(2)))
    other = replace(
        pair(dataset(snap(1), name="tank/b"), replica(snap(1))),
        volume=Volume("data", "vm-100-disk-1"), target_name="pool/vm-100-disk-1",
    )  # fmt: skip

    found = doomed(facts(broken, other, synced=remembered(1, 1, 2, 3)))

    assert found[f"{SOURCE}@{snap(3).name}"] == (When.LOOK, Law.OURS)
    assert found[f"{REPLICA}@{snap(2).name}"] == (When.PREPARE, Law.PROVEN_STAYS)


def test_a_set_that_the_target_holds_whole_counts_as_proven_and_is_not_rolled_back() -> None:
    """The run before died after the transfer, and before it remembered the proof."""
    found = facts(pair(dataset(snap(1), written=5), replica(snap(1), snap(2))), synced=remembered(1, 1, 2))

    assert named(REPLICA, snap(2)).isdisjoint(doomed(found))
    assert left(found) == {REPLICA: Law.ONLY_COPY}


def test_a_conflict_keeps_everything() -> None:
    found = facts(pair(dataset(snap(1), snap(2)), dataset(snap(1))), synced=remembered(1, 1, 2))

    assert doomed(found) == {}


def test_a_replica_whose_volume_vanished_stays() -> None:
    orphan = dataset(snap(1), name="pool/vm-100-disk-9", job="100-1")
    found = facts(pair(dataset(snap(1)), replica(snap(1))), orphans=(orphan,), synced=remembered(1, 1))

    assert left(found) == {"pool/vm-100-disk-9": Law.VANISHED}


@pytest.mark.parametrize(
    ("decision", "law"),
    [
        (Stays(Law.VANISHED, "its volume vanished from the source", NOW + 60), Law.VANISHED),
        (Stays(Law.IN_USE, "its grace is over, and it is mounted"), Law.IN_USE),
        (KeepAside(snap(4, "mine")), Law.OTHERS),
    ],
)
def test_a_replica_whose_grace_lasts_or_that_something_keeps_stays(decision: Stays | KeepAside, law: Law) -> None:
    orphan = dataset(snap(1), name="pool/vm-100-disk-9", job="100-1")
    on = pair(dataset(snap(1), snap(2)), replica(snap(1), snap(2)))
    found = replace(facts(on, orphans=(orphan,), synced=remembered(2, 1, 2)), vanished={orphan.name: decision})

    [kept] = [each for each in all_destructions(found) if each.what == orphan.name]
    assert (kept.permitted, kept.law, kept.until) == (False, law, getattr(decision, "until", None))


def test_a_replica_whose_grace_is_over_goes_after_the_proof_and_not_without_one() -> None:
    orphan = dataset(snap(1), name="pool/vm-100-disk-9", job="100-1")
    permit = ReplicaPermit(Law.VANISHED, "its grace is over", orphan.name, 1, orphan.snapshots, "100-1", "alpha")
    for target, goes in ((replica(snap(1), snap(2)), True), (dataset(snap(1), name="pool/vm-100-disk-0"), False)):
        on = pair(dataset(snap(1), snap(2)), target)
        found = replace(facts(on, orphans=(orphan,), synced=remembered(2, 1, 2)), vanished={orphan.name: permit})

        assert (doomed(found).get(orphan.name) == (When.PROVEN, Law.VANISHED)) is goes
        assert (orphan.name in left(found)) is not goes


def test_replicas_that_were_kept_aside_stay() -> None:
    aside = dataset(snap(9), name="pool/zsr-diverged/vm-100-disk-0-1", job="100-1")
    found = facts(pair(dataset(snap(1)), replica(snap(1))), diverged=(aside,), synced=remembered(1, 1))

    assert left(found) == {aside.name: Law.ONLY_COPY}


def test_snapshots_of_others_on_a_replica_stay_and_the_reason_says_whose_they_are() -> None:
    daily, theirs = snap(1, "daily"), replace(snap(5, "theirs"), made_here=True)
    newer = snap(7, "after the base")
    target = replica(daily, snap(2), theirs, newer)
    found = facts(pair(dataset(snap(2), written=5), target), synced=remembered(2, 2))

    why = {each.what.partition("@")[2]: (each.law, each.why) for each in all_destructions(found) if not each.permitted}

    assert MADE_HERE == "nobody"
    assert why == {
        "daily": (Law.OTHERS, "it is gone from the source"),
        "theirs": (Law.OTHERS, "it was created on the replica itself"),
        "after the base": (Law.OTHERS, "it was created on the replica itself"),
    }


def test_a_snapshot_that_is_on_the_source_too_needs_no_line() -> None:
    both = pair(dataset(snap(1, "daily"), snap(2), written=5), replica(snap(1, "daily"), snap(2)))

    assert left(facts(both, synced=remembered(2, 2))) == {}


def test_sets_of_another_job_go_when_they_are_gone_from_the_source() -> None:
    other = snap(1, snapshot_name(JobId(100, 7), 900))
    known = remembered(2, 2)
    both = pair(dataset(snap(2), written=5), replica(other, snap(2)))
    found = facts(both, synced=replace(known, sets=replace(known.sets, sent=frozenset({1}))))

    assert doomed(found)[f"{REPLICA}@{other.name}"] == (When.PROVEN, Law.PROVEN_STAYS)
    assert left(facts(both, synced=known))[f"{REPLICA}@{other.name}"] == Law.OURS


def test_sets_of_the_jobs_name_that_this_node_neither_took_nor_sent_stay() -> None:
    both = pair(dataset(snap(1), snap(2), snap(3), written=5), replica(snap(1), snap(2), snap(3)))

    found = left(facts(both, synced=remembered(3, 3)))

    assert {name for name, law in found.items() if law == Law.OURS} == {
        *named(REPLICA, snap(1), snap(2)), *named(SOURCE, snap(1), snap(2)),
    }  # fmt: skip


def test_restore_points_that_a_new_owner_received_stay_on_the_source() -> None:
    source = dataset(snap(1), snap(2), written=5, job="100-1", source="beta")
    found = facts(pair(source, replica(snap(1), snap(2))), synced=remembered(2))

    on_source = {name: law for name, law in left(found).items() if name.startswith(SOURCE)}
    assert on_source == {f"{SOURCE}@{each.name}": Law.OURS for each in (snap(1), snap(2))}


def test_of_the_sets_of_a_new_owner_those_that_it_took_since_go() -> None:
    source = dataset(snap(1), snap(2), written=5, job="100-1", source="beta")
    found = facts(pair(source, replica(snap(1), snap(2))), synced=remembered(2, 2), may_snapshot_first=True)

    assert doomed(found)[f"{SOURCE}@{snap(2).name}"] == (When.PROVEN, Law.OURS)
    assert [name for name in left(found) if name.startswith(SOURCE)] == [f"{SOURCE}@{snap(1).name}"]


def test_a_half_received_state_that_cannot_be_resumed_is_dropped() -> None:
    both = pair(dataset(snap(1), written=5), replica(snap(1), token=make_token(f"{SOURCE}@gone", 99)))
    found = facts(both, tokens={both.volume: None}, synced=remembered(1, 1))

    assert doomed(found)[f"{REPLICA}/%recv"] == (When.LOOK, Law.OURS)


def test_a_half_received_state_that_is_resumed_is_not_destroyed() -> None:
    source = dataset(snap(1), snap(2), written=5)
    both = pair(source, replica(snap(1), token=make_token(f"{SOURCE}@{snap(2).name}", 2, from_guid=1)))

    found = facts(both, tokens={both.volume: 10}, synced=remembered(1, 1, 2))

    assert not any("%recv" in name for name in doomed(found))


def test_bookmarks_go_when_there_are_too_many_and_all_together() -> None:
    marks = tuple(bookmark(number) for number in range(100, 116))
    source = dataset(snap(200), written=5, bookmarks=marks)
    found = facts(
        pair(source, replica(*(snap(m.guid) for m in marks), snap(200))), synced=remembered(200, 200), keep="50"
    )

    gone = {what for what, (when, _) in doomed(found).items() if "#" in what and when is When.PROVEN}

    assert gone == {f"{SOURCE}#{mark.name}" for mark in marks}


def test_each_thing_is_destroyed_once() -> None:
    both = pair(dataset(snap(1), snap(2), written=5), replica(snap(1)))
    found = all_destructions(facts(both, synced=remembered(1, 1, 2)))

    assert len({(each.node, each.what) for each in found}) == len(found)


def test_stale_restore_points_that_were_kept_aside_go_with_the_proof_or_are_left() -> None:
    both = pair(dataset(snap(5), written=1), replica(snap(5)))
    known = replace(remembered(5, 5), sets=replace(remembered(5, 5).sets, sent=frozenset({3, 4, 5})))
    aside = replace(
        replica(snap(3), snap(4), origin=f"{REPLICA}@base"), name="pool/zsr-diverged/vm-100-disk-0-1004-points"
    )

    assert doomed(facts(both, synced=known, diverged=[aside], grace=0.0))[aside.name] == (When.PROVEN, Law.PROVEN_STAYS)
    kept = facts(both, synced=known, diverged=[aside], grace=0.0, keep="3")
    assert doomed(kept).keys() >= named(aside.name, snap(3))
    assert left(facts(both, synced=known, diverged=[aside], grace=1e9))[aside.name] == Law.PROVEN_STAYS
