"""What the target holds, and what last sync may claim of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicator.common.snapshot_patterns import Travelling
from replicator.models import JobId, KnownSets, Synced, Volume
from replicator.replication.destruction import decide_unproven
from replicator.replication.plan import Full, Incremental, SetAside
from replicator.replication.snapshot_sets import (
    TAKEN_KEPT,
    allowed_claim,
    arrived,
    brought,
    is_unchanged,
    made_meanwhile,
    new_set_time,
    newest_whole_set,
    proven_set,
    received_replica,
    unreplicated_bytes,
    with_sent,
    with_taken,
    without_sent,
    without_taken,
)
from replicator.schedule.retention import RetentionPolicy
from replicator.zfs.channel_programs import ReceivedReplica
from replicator.zfs.model import Dataset, Snapshot
from replicator.zfs.snapshot_names import job_prefix, snapshot_name
from tests.support.volumes import JOB, WAY, bookmark, dataset, pair, snap

NOW = 5000.0
ONE = RetentionPolicy.parse("1")
UNKNOWN = KnownSets()


def test_the_newest_set_is_the_one_that_every_volume_has_on_the_target() -> None:
    first = pair(dataset(snap(1), snap(2), snap(3)), dataset(snap(1), snap(2), snap(3)))
    second = pair(dataset(snap(1), snap(2), snap(3)), dataset(snap(1), snap(2)))
    assert newest_whole_set(JOB, [first, second], UNKNOWN, NOW) == 1002


def test_a_set_of_which_a_replica_is_gone_is_not_whole() -> None:
    """Silence about it would be the one unforgivable thing."""
    whole = pair(dataset(snap(1)), dataset(snap(1)))
    assert newest_whole_set(JOB, [whole, pair(dataset(snap(1)), None)], UNKNOWN, NOW) is None


def test_a_snapshot_of_the_same_name_with_another_guid_does_not_count() -> None:
    name = snapshot_name(JOB, 1001)
    assert newest_whole_set(JOB, [pair(dataset(snap(1, name)), dataset(snap(2, name)))], UNKNOWN, NOW) is None


@pytest.mark.parametrize("ahead", [86399, 86401])
def test_a_time_far_ahead_that_only_the_target_shows_is_no_set(ahead: int) -> None:
    """It would claim a copy that nobody sent, and give the source's snapshots times that no parser knows."""
    at = int(NOW) + ahead
    shown = pair(dataset(snap(1)), dataset(snap(1), snap(9, snapshot_name(JOB, at))))
    assert newest_whole_set(JOB, [shown], UNKNOWN, NOW) == (at if ahead < 86400 else 1001)
    assert new_set_time(JOB, [shown], Synced(), NOW) == (at + 1 if ahead < 86400 else int(NOW))


def test_a_time_far_ahead_that_this_node_took_is_one() -> None:
    """Its clock was ahead."""
    at = int(NOW) + 10**6
    there = dataset(snap(1), snap(9, snapshot_name(JOB, at)))
    for shown, known in ((pair(there, there), UNKNOWN), (pair(dataset(snap(1)), there), KnownSets(taken=(at,)))):
        assert newest_whole_set(JOB, [shown], known, NOW) == at
        assert new_set_time(JOB, [shown], Synced(sets=known), NOW) == at + 1


def test_a_volume_that_is_newer_than_a_set_does_not_take_it_back() -> None:
    whole = pair(dataset(snap(1)), dataset(snap(1)))
    new = pair(dataset(snap(5), creation=1004), None)
    assert newest_whole_set(JOB, [whole, new], UNKNOWN, NOW) == 1001


def test_a_volume_that_was_there_before_the_set_does() -> None:
    whole = pair(dataset(snap(1)), dataset(snap(1)))
    assert newest_whole_set(JOB, [whole, pair(dataset(creation=900), None)], UNKNOWN, NOW) is None


def test_a_target_that_lost_all_is_not_believed_also_when_the_source_has_no_snapshot_left() -> None:
    assert newest_whole_set(JOB, [pair(dataset(snap(5, "user")), None)], UNKNOWN, NOW) is None


def test_a_claim_falls_with_its_set() -> None:
    sets = KnownSets(proven=1005)
    assert allowed_claim(Synced(2000.0, 1005, sets), None) == Synced(sets=sets)
    assert allowed_claim(Synced(2000.0, 1005, sets), 1001) == Synced(1001.0, 1001, sets)


def test_a_later_moment_at_which_nothing_had_changed_stays_with_its_set() -> None:
    claimed = Synced(2000.5, 1005, KnownSets(proven=1005))
    assert allowed_claim(claimed, 1005) == claimed


@given(st.floats(0, 1e6), st.integers(0, 10**6), st.integers(0, 10**6))
def test_only_what_was_proven_is_claimed(at: float, last: int, held: int) -> None:
    """Not the present either, when a wrong clock gave the set a name in the future."""
    assert allowed_claim(Synced(at, last), held).last_sync == (at if held == last else held)


OLD, HELD = snap(1), snap(5)
IDLE = pair(dataset(HELD), dataset(OLD, HELD, job="100-1"))


def test_nothing_changed_when_no_byte_was_written_and_the_target_has_the_set() -> None:
    assert is_unchanged(WAY, [IDLE], 1005)


@pytest.mark.parametrize(
    "volume",
    [
        replace(IDLE, source=dataset(HELD, written=1)),
        replace(IDLE, source=dataset(HELD, written=None)),
        replace(IDLE, source=dataset(HELD, snap(6, "user", written=9))),
        replace(IDLE, source=dataset(HELD, snap(6, "before-upgrade", written=0))),
        replace(IDLE, source=dataset(OLD)),
        replace(IDLE, target=None),
        replace(IDLE, target=dataset(OLD, job="100-1")),
        replace(IDLE, target=dataset(HELD)),
        replace(IDLE, target=dataset(OLD, HELD, job="100-1", source="omega")),
        replace(IDLE, target=dataset(OLD, HELD, job="100-1", readonly=False)),
        replace(IDLE, target=dataset(OLD, HELD, job="100-1", written=1)),
        replace(IDLE, target=dataset(HELD, snap(7, "theirs"), job="100-1")),
        replace(IDLE, target=dataset(replace(HELD, guid=99), job="100-1")),
        replace(IDLE, target=dataset(HELD, job="100-1", token="1-a")),
    ],
    ids=["written", "unknown", "in-a-snapshot", "a-snapshot-of-others", "gone-here", "no-replica", "gone-there",
         "unmarked", "another-source",
         "writable", "written-there", "theirs", "guid",
         "half-received"],
)  # fmt: skip
def test_in_any_doubt_something_changed(volume: object) -> None:
    assert not is_unchanged(WAY, [IDLE, volume], 1005)  # type: ignore[list-item]


def test_a_guest_without_a_set_or_without_volumes_changed() -> None:
    assert not is_unchanged(WAY, [IDLE], None)
    assert not is_unchanged(WAY, [], 1005)


def test_what_would_be_lost_is_all_that_was_written_after_the_base() -> None:
    source = dataset(snap(1, written=7), snap(2, "user", written=100), written=30)
    assert unreplicated_bytes(source, snap(1)) == 130
    assert unreplicated_bytes(source, bookmark(1)) == 130
    assert unreplicated_bytes(source, None) == 137


def test_what_would_be_lost_is_unknown_where_zfs_does_not_report_it() -> None:
    assert unreplicated_bytes(dataset(snap(1), written=None), snap(1)) is None


def test_snapshots_between_base_and_new_one_arrive_or_not_as_the_job_says() -> None:
    source = dataset(snap(1), snap(2, "user"), snap(3))
    action = Incremental(pair(source, dataset(snap(1))), snap(1))
    names = {
        travelling: [s.guid for s in (arrived(action, snap(3).name, travelling).target or source).snapshots]
        for travelling in Travelling
    }
    assert names == {Travelling.ALL: [1, 2, 3], Travelling.OWN: [1, 3]}


def test_after_a_full_send_only_what_it_brought_is_there() -> None:
    action = Full(pair(dataset(snap(1), snap(2, "user"), snap(3)), dataset(snap(9), job="100-1")), (SetAside(None),))
    target = arrived(action, snap(3).name, Travelling.ALL).target
    assert target is not None
    assert [s.guid for s in target.snapshots] == [2, 3]


PROVEN = KnownSets(proven=1002, volumes=("data:vm-100-disk-0",), taken=(1001, 1002, 1003, 1004))


def test_a_volume_that_joined_the_guest_after_the_proven_set_was_no_part_of_it() -> None:
    """A disk that was another guest's: its creation is older than the set."""
    whole = pair(dataset(snap(1), snap(2)), dataset(snap(1), snap(2)))
    joined = replace(pair(dataset(creation=900), None), volume=Volume("data", "vm-100-disk-5"))
    assert newest_whole_set(JOB, [whole, joined], PROVEN, NOW) == 1002
    assert newest_whole_set(JOB, [whole, replace(joined, source=dataset(snap(3), creation=900))], PROVEN, NOW) == 1002


@pytest.mark.parametrize("lost", [dataset(snap(2), creation=900), dataset(creation=900, bookmarks=(bookmark(1),))])
def test_a_volume_with_a_mark_of_the_job_from_that_time_was_part_of_it(lost: Dataset) -> None:
    whole = pair(dataset(snap(1), snap(2)), dataset(snap(1), snap(2)))
    volume = replace(pair(lost, None), volume=Volume("data", "vm-100-disk-5"))
    assert newest_whole_set(JOB, [whole, volume], PROVEN, NOW) is None


def test_a_volume_that_was_in_the_proven_set_was_part_of_it_also_when_it_has_no_mark_left() -> None:
    whole = replace(pair(dataset(snap(1), snap(2)), dataset(snap(1), snap(2))), volume=Volume("data", "vm-100-disk-5"))
    assert newest_whole_set(JOB, [whole, pair(dataset(creation=900), None)], PROVEN, NOW) is None


def test_what_is_known_of_sets_grows_with_each_that_is_taken_and_with_each_that_is_proven() -> None:
    synced = with_taken(Synced(), 1005)
    assert synced == Synced(sets=KnownSets(taken=(1005,)))
    proven = proven_set(synced, 1005.0, 1005, [IDLE])
    assert proven == Synced(1005.0, 1005, KnownSets(1005, ("data:vm-100-disk-0",), (1005,)))
    assert without_taken(with_taken(proven, 1006), 1006) == proven
    assert allowed_claim(proven, None) == Synced(sets=proven.sets)


def test_what_is_sent_is_remembered_until_it_is_gone_from_the_target() -> None:
    before = with_sent(Synced(sets=KnownSets(taken=(1003,))), [1, 2, 4])
    after = proven_set(before, 1003.0, 1003, [pair(dataset(snap(3)), dataset(snap(1), snap(3)))])
    assert after.sets.sent == {1, 2, 4}
    assert without_sent(after, [1, 9]).sets.sent == {2, 4}


def test_what_another_tool_took_is_remembered_as_such() -> None:
    carried = with_sent(Synced(), [1], [7, 8]).sets
    assert (carried.sent, carried.carried) == (frozenset({1, 7, 8}), frozenset({7, 8}))
    assert without_sent(Synced(sets=carried), [7]).sets.carried == {8}


def test_a_proven_set_stays_known_as_taken_here_however_many_fail_after_it() -> None:
    synced = proven_set(with_taken(Synced(), 1005), 1005.0, 1005, [IDLE])
    for time in range(1006, 1006 + 3 * TAKEN_KEPT):
        synced = with_taken(synced, time)
    assert synced.sets.taken[0] == 1005
    assert len(synced.sets.taken) == TAKEN_KEPT + 1


def test_a_job_that_knew_its_snapshots_by_name_knows_them_by_guid_after_its_next_proof() -> None:
    replica = dataset(snap(1), snap(2, "user"), snap(3), snap(4, snapshot_name(JobId(100, 2), 4)))
    after = proven_set(Synced(sets=KnownSets(by_name=True)), 1003.0, 1003, [pair(dataset(snap(3)), replica)])
    assert (after.sets.sent, after.sets.by_name) == (frozenset({1, 3, 4}), False)


def test_what_only_the_source_says_about_the_targets_snapshots_is_known_before_it_is_gone_there() -> None:
    """After the loss of state.db: the source's older sets go before the target's."""
    source = dataset(replace(snap(1), source="alpha"), snap(2))
    replica = dataset(snap(1), snap(2), snap(3), job=str(JOB))
    assert brought(WAY, [pair(source, replica), pair(source, None)]) == {1}
    assert brought(replace(WAY, known=KnownSets(sent=frozenset({3}))), [pair(source, replica)]) == {1, 3}


def test_a_whole_set_on_the_target_counts_as_proven_though_the_run_that_sent_it_died() -> None:
    """Else the next run would take it for one that never became whole, and destroy it."""
    died = Synced(1001.0, 1001, KnownSets(1001, ("data:vm-100-disk-0",), (1001, 1002)))
    claim = allowed_claim(died, 1002)
    assert (claim.last_set, claim.sets.proven) == (1002, 1002)
    target = dataset(snap(1), snap(2), job="100-1")
    assert decide_unproven(replace(WAY, known=claim.sets), target, "").snapshots == ()
    assert allowed_claim(claim, 1001).sets.proven == 1002


class TestWhatWasCreatedOnAReplicaDuringARun:
    """Between the listing and the proof; it would look as if it had travelled."""

    def action(self, *listed: Snapshot) -> Incremental:
        source = dataset(snap(1), snap(2), snap(3))
        return Incremental(pair(source, dataset(*listed, job=str(JOB))), snap(1))

    def test_is_newer_than_all_that_was_listed_and_was_not_sent(self) -> None:
        replica = received_replica(self.action(snap(1)), snap(3).name, Travelling.ALL)
        assert replica is not None
        assert (replica.after, set(replica.sent)) == (1, {2, 3})
        new = [replace(snap(guid, name), createtxg=txg) for guid, name, txg in [(8, "theirs", 7), (9, "hers", 12)]]
        found = dataset(snap(1), *(replace(snap(guid), createtxg=10 + guid) for guid in (2, 3)), *new)
        assert made_meanwhile(replica, found) == [f"{replica.dataset}@theirs", f"{replica.dataset}@hers"]

    def test_is_also_what_another_zsr_took_of_it(self) -> None:
        replica = received_replica(self.action(snap(1)), snap(3).name, Travelling.ALL)
        assert replica is not None
        theirs = "__replicate_900-0_1700000000__"
        assert made_meanwhile(replica, dataset(snap(1), snap(9, theirs))) == [f"{replica.dataset}@{theirs}"]

    def test_is_not_what_has_a_name_of_the_jobs_nor_what_was_listed(self) -> None:
        replica = received_replica(self.action(snap(1), snap(5, "listed")), snap(3).name, Travelling.OWN)
        assert replica is not None
        assert (replica.after, set(replica.sent)) == (5, {3})
        assert made_meanwhile(replica, dataset(snap(1), snap(5, "listed"), snap(9))) == []
        assert made_meanwhile(replica, None) == []

    def test_is_anything_but_the_new_set_after_a_full_copy(self) -> None:
        replica = received_replica(Full(pair(dataset(snap(1), snap(2)), None)), snap(2).name, Travelling.ALL)
        assert replica is not None
        assert (replica.after, set(replica.sent)) == (0, {2})

    def test_is_not_known_of_a_replica_that_was_cloned_from_one_kept_aside(self) -> None:
        cloned = replace(self.action(snap(1)), pair=pair(dataset(snap(1), snap(3)), None))
        assert received_replica(cloned, snap(3).name, Travelling.ALL) is None
        assert received_replica(self.action(), snap(3).name, Travelling.ALL) is None


def test_what_was_sent_was_not_made_on_the_replica() -> None:
    replica = ReceivedReplica("pool/a", 1, frozenset({2}), job_prefix(JOB))
    found = dataset(snap(1, "old"), snap(2, "sent"), snap(3, "made"), name="pool/a")
    assert made_meanwhile(replica, found) == ["pool/a@made"]


def test_a_volume_without_a_replica_was_part_of_the_set_where_its_volumes_are_not_remembered() -> None:
    """Who does not know which volumes a set had cannot say that one joined the guest later."""
    whole, lost = pair(dataset(snap(1)), dataset(snap(1))), pair(dataset(creation=900), None)
    assert newest_whole_set(JOB, [whole, lost], KnownSets(proven=1001), NOW) is None
    assert newest_whole_set(JOB, [whole, lost], KnownSets(proven=1001, volumes=("data:another",)), NOW) == 1001
