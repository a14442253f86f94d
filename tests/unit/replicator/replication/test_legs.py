"""The streams of a transfer: which snapshots travel, with how many sends, and which names stay out."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicator.common.snapshot_patterns import SnapshotPatterns, Travelling
from replicator.models import JobId
from replicator.replication.legs import Leg, Route, has_new_to_send, never_travels, route
from replicator.replication.plan import CloneFromDiverged, Full, Incremental, SetAside
from replicator.zfs.model import Dataset, Snapshot, SnapshotLike
from replicator.zfs.snapshot_names import snapshot_name
from tests.support.volumes import JOB, bookmark, dataset, pair, snap

NEW = snap(9)
OTHER_JOBS = snap(4, snapshot_name(JobId(100, 7), 1004))


def full(*snapshots: Snapshot) -> Full:
    return Full(pair(dataset(*snapshots, NEW), None))


def since(base: SnapshotLike, *snapshots: Snapshot, there: tuple[Snapshot, ...] = ()) -> Incremental:
    """An incremental onto a replica that has the base, and what is ``there`` besides."""
    target = dataset(snap(base.guid, base.name), *there, job=str(JOB))
    return Incremental(pair(dataset(*snapshots, NEW), target), base)


def sent(found: Route) -> list[int]:
    return [each.guid for each in found.travels]


def test_a_full_copy_begins_with_the_oldest_snapshot_of_others() -> None:
    found = route(full(snap(2, "s1"), snap(3, "s2")), NEW.name, Travelling.ALL)

    assert found.legs == (Leg(None, "s1"), Leg(snap(2, "s1"), NEW.name, between=True))
    assert sent(found) == [2, 3, 9]


def test_a_full_copy_without_older_snapshots_is_one_stream() -> None:
    assert route(full(), NEW.name, Travelling.ALL).legs == (Leg(None, NEW.name),)
    assert route(full(snap(2, "s1")), NEW.name, Travelling.OWN).legs == (Leg(None, NEW.name),)


def test_a_full_copy_leaves_the_sets_of_jobs_out() -> None:
    """They are no history of the guest's, but what another job or an earlier run needed."""
    found = route(full(snap(2, "s1"), snap(3), OTHER_JOBS, snap(5, "s2")), NEW.name, Travelling.ALL)

    assert found.legs == (
        Leg(None, "s1"),
        Leg(snap(2, "s1"), "s2"),
        Leg(snap(5, "s2"), NEW.name, between=True),
    )


def test_a_zfs_that_marks_a_replica_late_gets_the_new_set_alone() -> None:
    """A run that dies after the first stream would leave a dataset that nobody knows."""
    action = replace(full(snap(2, "s1")), alone=True)

    assert route(action, NEW.name, Travelling.ALL).legs == (Leg(None, NEW.name),)


def test_an_increment_is_one_stream_with_all_between() -> None:
    found = route(since(snap(1), snap(1), snap(2, "s1"), OTHER_JOBS), NEW.name, Travelling.ALL)

    assert found.legs == (Leg(snap(1), NEW.name, between=True),)
    assert sent(found) == [2, 4, 9]


def test_what_was_taken_after_the_new_set_does_not_travel_with_it() -> None:
    found = route(since(snap(1), snap(1), snap(20, "later")), NEW.name, Travelling.ALL)

    assert sent(found) == [9]


def test_patterns_choose_what_travels() -> None:
    names = ["autosnap_1_hourly", "autosnap_1_daily", "mine", "autosnap_2_daily"]
    action = since(snap(1), snap(1), *(snap(2 + i, name) for i, name in enumerate(names)))
    found = route(action, NEW.name, "autosnap_*,!*_hourly")

    assert sent(found) == [3, 5, 9]
    assert found.legs == (
        Leg(snap(1), names[1]),
        Leg(snap(3, names[1]), names[3]),
        Leg(snap(5, names[3]), NEW.name, between=True),
    )


def test_after_a_bookmark_the_first_stream_ends_at_the_next_snapshot() -> None:
    """ZFS begins no stream with all between at a bookmark."""
    found = route(since(bookmark(1), snap(2, "s1"), snap(3, "s2")), NEW.name, Travelling.ALL)

    assert found.legs == (Leg(bookmark(1), "s1"), Leg(snap(2, "s1"), NEW.name, between=True))


class TestANameThatBothSidesHave:
    """sanoid on every node takes snapshots of one name at one second."""

    def test_is_gone_round_where_the_snapshots_differ(self) -> None:
        action = since(snap(1), snap(1), snap(2, "s1"), snap(3, "hourly"), snap(4, "s2"), there=(snap(77, "hourly"),))
        found = route(action, NEW.name, Travelling.ALL)

        assert found.legs == (
            Leg(snap(1), "s1", between=True),
            Leg(snap(2, "s1"), "s2"),
            Leg(snap(4, "s2"), NEW.name, between=True),
        )
        assert [each.guid for each in found.blocked] == [3]

    def test_is_no_obstacle_where_the_replica_is_set_aside_or_rolled_off_it(self) -> None:
        theirs = snap(77, "hourly")
        source = dataset(snap(1), snap(3, "hourly"), NEW)
        target = dataset(snap(1), theirs, job=str(JOB))
        action = Incremental(pair(source, target), snap(1), (SetAside(snap(1)),))

        assert route(action, NEW.name, Travelling.ALL).blocked == ()
        assert route(Full(pair(source, target), (SetAside(None),)), NEW.name, Travelling.ALL).blocked == ()

    def test_counts_in_what_the_replica_is_cloned_from(self) -> None:
        aside = dataset(snap(0, "hourly"), snap(1), snap(2, "after"), name="pool/zsr-diverged/a-1")
        source = dataset(snap(1), snap(3, "hourly"), snap(4, "after"), NEW)
        step = CloneFromDiverged(aside.name, snap(1), aside)
        found = route(Incremental(pair(source, None), snap(1), (step,)), NEW.name, Travelling.ALL)

        assert [each.guid for each in found.blocked] == [3]


def test_a_new_set_that_is_gone_is_sent_all_the_same_so_that_zfs_says_it() -> None:
    assert route(Full(pair(dataset(), None)), NEW.name, Travelling.ALL) == Route((Leg(None, NEW.name),), ())


@st.composite
def _transfers(draw: st.DrawFn) -> tuple[Full | Incremental, str]:
    names = st.sampled_from(["a1", "a2", "b1", "b2", snapshot_name(JobId(100, 7), 5)])
    listed = [snap(guid, f"{draw(names)}.{guid}") for guid in range(1, draw(st.integers(1, 8)))]
    theirs = [snap(100 + s.guid, s.name) for s in listed if draw(st.booleans())]
    setting = draw(st.sampled_from(["all", "own", "a*", "!b*", "a*,!a1*"]))
    if draw(st.booleans()) or not listed:
        return Full(pair(dataset(*listed, NEW), None)), setting
    base = snap(0)
    target = dataset(base, *theirs, job=str(JOB))
    return Incremental(pair(dataset(base, *listed, NEW), target), base), setting


@given(_transfers())
def test_the_legs_lead_from_the_base_to_the_new_set_and_bring_what_travels(
    drawn: tuple[Full | Incremental, str],
) -> None:
    action, setting = drawn
    found = route(action, NEW.name, setting)
    order = {each.name: each for each in action.pair.source.snapshots}
    at = action.base.name if isinstance(action, Incremental) else None
    brought = []
    for leg in found.legs:
        assert (None if leg.base is None else leg.base.name) == at
        first = -1 if leg.base is None else leg.base.createtxg
        end = order[leg.to]
        some = [s for s in order.values() if first < s.createtxg <= end.createtxg]
        brought += some if leg.between else [end]
        at = leg.to
    assert brought == list(found.travels)
    assert at == NEW.name
    there = {} if action.pair.target is None else {s.name: s.guid for s in action.pair.target.snapshots}
    assert all(there.get(s.name, s.guid) == s.guid for s in brought), "a receive would be refused"
    fits = SnapshotPatterns.parse(setting).fits
    assert all(fits(s.name) for s in brought if s != NEW)


class TestAnIdleVolume:
    SET = snap(3)

    @pytest.mark.parametrize(
        ("taken", "setting", "is_new"),
        [
            (snap(4, "before-upgrade"), "all", True),
            (snap(2, "before-upgrade"), "all", False),
            (snap(4, "before-upgrade"), "own", False),
            (snap(4, "autosnap_hourly"), "!*_hourly", False),
            (OTHER_JOBS, "all", False),
        ],
        ids=["a newer one", "an older one", "only zsr's travel", "excluded", "another job's"],
    )
    def test_has_something_to_send_when_others_took_a_snapshot(
        self, taken: Snapshot, setting: str, is_new: bool
    ) -> None:
        assert has_new_to_send(dataset(self.SET, taken), self.SET, setting) is is_new


def test_what_is_older_than_the_base_and_not_there_never_travels() -> None:
    source: Dataset = dataset(snap(1, "gone-there"), snap(2, "both"), snap(3), snap(4, "later"))
    target = dataset(snap(2, "both"), snap(3), job=str(JOB))

    assert [s.name for s in never_travels(source, target, snap(3), "all")] == ["gone-there"]
    assert never_travels(source, target, snap(3), "own") == ()
