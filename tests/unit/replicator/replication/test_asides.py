"""What a replica that was set aside holds, and what of it may go: nothing that differs, and nothing of others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicator.models import Job, KnownSets, Synced
from replicator.replication.aging_asides import AsideTerms, decide_asides, keep_of, waiting
from replicator.replication.asides import LATE_SECONDS, aside_of, is_diverged_data, reason
from replicator.replication.destruction import decide_aside
from replicator.replication.plan import Incremental, Promote, SetAside, make_plan
from replicator.schedule.retention import RetentionPolicy
from replicator.zfs.dataset_names import Holds, aside_name, aside_stem, parse_aside
from replicator.zfs.model import Dataset, Snapshot
from replicator.zfs.permits import Law, ReplicaPermit, SnapshotsPermit
from tests.support.volumes import JOB, WAY, dataset, pair, snap

DAY = 86400
SET_ASIDE = 2000
VOLUME = "vm-100-disk-0"
SENT = replace(WAY, known=KnownSets(proven=1009, sent=frozenset(range(1, 10))))
LONG_AFTER = SET_ASIDE + 30.0 * DAY


def aside(*snapshots: Snapshot, holds: Holds = Holds.POINTS, **more: Any) -> Dataset:
    """A replica that was set aside at SET_ASIDE."""
    name = aside_name("pool", VOLUME, SET_ASIDE, holds)
    marks = {"job": str(JOB), "readonly": True, "origin": "pool/vm-100-disk-0@base"}
    return dataset(*snapshots, name=name, **{**marks, **more})


def late(guid: int, *, written: int = 0) -> Snapshot:
    """A snapshot that a tool took of the aside, more than a day after it was set aside."""
    return replace(snap(guid, f"autosnap_{guid}", written=written), creation=SET_ASIDE + LATE_SECONDS + 1)


def held(found: Dataset) -> Holds | None:
    """What it holds."""
    parts = aside_of(found)
    assert parts is not None
    return parts.holds


def decided(found: Dataset, *stale: int, grace: float = DAY, now: float = LONG_AFTER) -> list[str] | str | None:
    """The snapshots that may go, "all of it", or None."""
    parts = aside_of(found)
    assert parts is not None
    permit = decide_aside(SENT, parts, grace, {1000 + each for each in stale}, now - SET_ASIDE)
    if isinstance(permit, SnapshotsPermit):
        return [str(snapshot.guid) for snapshot in permit.snapshots]
    return None if permit is None else "all of it"


class TestTheName:
    @pytest.mark.parametrize("holds", list(Holds))
    def test_says_whose_it_is_since_when_and_what_it_holds(self, holds: Holds) -> None:
        named = parse_aside(aside_name("pool/data", "a/b", 17.9, holds))
        assert named is not None
        assert (named.stem, named.time, named.holds) == (aside_stem("pool/data", "a/b"), 17, holds)

    @pytest.mark.parametrize(
        "name", ["pool/vm-1-17", "pool/zsr-diverged", "pool/zsr-diverged/vm-reseed", "p/zsr-diverged/a-1/b"]
    )
    def test_of_anything_else_says_nothing(self, name: str) -> None:
        assert parse_aside(name) is None


class TestTheReason:
    def test_of_sets_that_this_node_sent_is_restore_points(self) -> None:
        assert reason(SENT, dataset(snap(1), snap(2)), [snap(2)]) is Holds.POINTS

    def test_of_snapshots_without_a_byte_that_were_created_there_is_those(self) -> None:
        assert reason(SENT, dataset(snap(1), snap(2, "auto")), [snap(2, "auto")]) is Holds.OTHERS

    @pytest.mark.parametrize(
        ("newer", "more"),
        [
            ([snap(2)], {"written": 1}),
            ([snap(2)], {"written": None}),
            ([snap(2)], {"token": "1-2"}),
            ([snap(99)], {}),
            ([snap(2), snap(3, "mine", written=7)], {}),
            ([snap(2, "mine", written=None)], {}),
            ([], {}),
        ],
        ids=["written-to", "unknown", "half-received", "not-sent", "with-others", "others-unknown", "nothing"],
    )
    def test_of_all_else_is_that_it_differs(self, newer: list[Snapshot], more: dict[str, Any]) -> None:
        assert reason(SENT, dataset(snap(1), *newer, **more), newer) is Holds.DIVERGED

    def test_of_a_set_of_another_tool_in_the_jobs_name_is_that_it_differs(self) -> None:
        way = replace(SENT, known=replace(SENT.known, carried=frozenset({2})))
        assert reason(way, dataset(snap(1), snap(2)), [snap(2)]) is Holds.DIVERGED


def test_a_raw_replica_with_another_tools_snapshot_is_kept_aside_since_zfs_receives_nothing_raw_onto_it() -> None:
    target = replace(dataset(snap(1), snap(3, "mine", written=0), job="100-1"), encryption_root="tank/a")
    (action,) = make_plan(WAY, [pair(dataset(snap(1)), target)]).actions
    assert action.preparations == (SetAside(snap(1), Holds.OTHERS), Promote())
    alone = replace(dataset(snap(1), job="100-1"), encryption_root="tank/a")
    both = pair(dataset(snap(1)), alone)
    assert make_plan(WAY, [both]).actions == (Incremental(both, snap(1)),)


def test_proven_sets_that_the_source_lacks_are_kept_aside_as_restore_points() -> None:
    known = KnownSets(1002, (), (1001, 1002), sent=frozenset({1, 2}))
    both = pair(dataset(snap(1)), dataset(snap(1), snap(2), job="100-1"))
    (action,) = make_plan(replace(WAY, known=known), [both]).actions
    assert action.preparations == (SetAside(snap(1), Holds.POINTS), Promote())


class TestWhatItHolds:
    def test_is_what_its_name_says_as_long_as_that_is_all_in_it(self) -> None:
        assert held(aside(snap(1), snap(2))) is Holds.POINTS
        assert held(aside(snap(1, "auto"), holds=Holds.OTHERS)) is Holds.OTHERS
        assert held(aside(snap(1), holds=Holds.DIVERGED)) is Holds.DIVERGED

    def test_is_nothing_when_nothing_is_left_or_only_what_a_tool_took_of_the_rest(self) -> None:
        for holds in Holds:
            assert held(aside(holds=holds)) is None
            assert held(aside(late(50), holds=holds)) is None

    @pytest.mark.parametrize(
        "found",
        [
            aside(snap(1), written=1),
            aside(snap(1), written=None),
            aside(snap(1), readonly=False),
            aside(snap(1), token="1-2"),
            aside(snap(1), origin=None),
            aside(written=1),
            aside(origin=None),
            aside(snap(1), snap(3, "mine")),
            aside(snap(1), late(50, written=1)),
            aside(snap(1, "auto", written=1), holds=Holds.OTHERS),
            aside(snap(1, "auto", written=None), holds=Holds.OTHERS),
        ],
    )
    def test_is_diverged_data_as_soon_as_there_may_be_a_byte_of_somebody_in_it(self, found: Dataset) -> None:
        assert held(found) is Holds.DIVERGED
        assert is_diverged_data(found)

    def test_is_diverged_data_where_the_name_is_not_of_an_aside(self) -> None:
        assert is_diverged_data(dataset(name="pool/zsr-diverged/mine"))


class TestRestorePoints:
    def test_go_when_keep_does_not_want_them(self) -> None:
        assert decided(aside(snap(1), snap(2)), 1) == ["1"]
        assert decided(aside(snap(1), snap(2)), 1, 2) == "all of it"
        assert decided(aside(snap(1), snap(2))) is None

    def test_stay_until_the_grace_is_over_and_for_ever_without_one(self) -> None:
        found = aside(snap(1))
        assert decided(found, 1, now=SET_ASIDE + DAY - 1) is None
        assert decided(found, 1, now=SET_ASIDE + DAY) == "all of it"
        assert decided(found, 1, now=SET_ASIDE - 5.0, grace=0) is None
        assert decided(found, 1, grace=float("inf")) is None

    def test_stay_where_this_node_does_not_know_that_it_sent_them(self) -> None:
        assert decided(aside(snap(1), snap(99)), 1, 99 - 1000) is None
        assert decided(aside(snap(1), snap(99)), 1, 99) is None

    @pytest.mark.parametrize(
        "more",
        [{"mounted": True}, {"readonly": None}, {"job": "100-7"}, {"source": "gamma"}],
        ids=["mounted", "readonly-unknown", "another-job", "another-source"],
    )
    def test_stay_in_a_dataset_that_is_in_use_or_not_this_jobs(self, more: dict[str, Any]) -> None:
        assert decided(aside(snap(1), **more), 1) is None

    def test_go_all_at_once_from_under_what_a_tool_took_of_them(self) -> None:
        """The bytes of a set that goes would be found in the tool's next snapshot, and count as somebody's."""
        found = aside(snap(1), snap(2), late(50))
        assert decided(found, 1) is None
        assert decided(found, 1, 2) == "all of it"


class TestWhatElseIsKeptAside:
    def test_stays(self) -> None:
        assert decided(aside(snap(1), holds=Holds.DIVERGED), 1) is None
        assert decided(aside(snap(1, "auto"), holds=Holds.OTHERS), 1) is None

    def test_goes_when_nothing_is_left_in_it(self) -> None:
        for holds in Holds:
            assert decided(aside(holds=holds)) == "all of it"
            assert decided(aside(holds=holds), now=SET_ASIDE + 1.0) is None


class TestThePermitsOfARun:
    TERMS = AsideTerms(RetentionPolicy.parse("2"), DAY)
    SEEN = replace(SENT, known=replace(SENT.known, asides=((1, 0.0, float(DAY)),)))

    def test_count_the_sets_of_the_replicas_and_of_the_asides_together(self) -> None:
        both = pair(dataset(snap(9)), dataset(snap(7), snap(9), name="pool/vm-100-disk-0"))
        [permit] = decide_asides(self.SEEN, self.TERMS, [both], [aside(snap(6), snap(8))], LONG_AFTER)
        assert isinstance(permit, SnapshotsPermit)
        assert [each.guid for each in permit.snapshots] == [6]
        assert permit.law is Law.PROVEN_STAYS

    def test_leave_the_asides_of_volumes_that_are_not_of_this_run(self) -> None:
        other = replace(aside(), name=aside_name("pool", "vm-100-disk-7", SET_ASIDE, Holds.POINTS))
        both = pair(dataset(snap(9)), dataset(snap(9)))
        assert decide_asides(self.SEEN, self.TERMS, [both], [other], LONG_AFTER) == []

    def test_name_the_dataset_with_its_guid_its_snapshots_and_the_marks_that_it_must_have(self) -> None:
        both = pair(dataset(snap(9)), dataset(snap(8), snap(9)))
        [permit] = decide_asides(self.SEEN, self.TERMS, [both], [aside(snap(1))], LONG_AFTER)
        assert isinstance(permit, ReplicaPermit)
        assert (permit.guid, permit.snapshots, permit.job, permit.source) == (1, (snap(1),), str(JOB), "alpha")
        assert not permit.kept_aside


class TestHowLongAnAsideHasWaited:
    """The clock may be wrong now, and may have been when the aside got its name."""

    JOB = Job(JOB, "beta", grace=7.0 * DAY)
    NOW = float(SET_ASIDE + 365 * DAY)

    def waited(self, *moments: float) -> list[float]:
        """The seconds after runs at these times."""
        synced = Synced()
        for moment in moments:
            synced = waiting(synced, [aside(snap(1))], self.JOB, moment)
        return [seconds for _, _, seconds in synced.sets.asides]

    def test_begins_with_the_run_that_first_sees_it_whatever_its_name_says(self) -> None:
        assert self.waited(self.NOW) == [0.0]

    def test_counts_the_time_between_runs_and_a_day_at_most_of_each(self) -> None:
        assert self.waited(self.NOW, self.NOW + 900, self.NOW + 1800) == [1800.0]
        assert self.waited(self.NOW, self.NOW + 900, self.NOW + 900 + 365 * DAY) == [900.0 + DAY]

    def test_begins_again_where_the_clock_was_set_back(self) -> None:
        assert self.waited(self.NOW, self.NOW + 900, self.NOW - 3600) == [0.0]

    def test_is_forgotten_with_the_aside(self) -> None:
        seen = waiting(Synced(), [aside(snap(1))], self.JOB, self.NOW)
        assert waiting(seen, [], self.JOB, self.NOW) == Synced()

    def test_is_what_counts(self) -> None:
        both = pair(dataset(snap(9)), dataset(snap(9), name="pool/vm-100-disk-0"))
        terms = AsideTerms(RetentionPolicy.parse("1"), self.JOB.grace)

        assert decide_asides(SENT, terms, [both], [aside(snap(1))], self.NOW) == []


@st.composite
def anything_aside(draw: st.DrawFn) -> Dataset:
    """An aside with any content."""
    names = st.one_of(st.none(), st.just("auto"), st.just("__replicate_100-2_1001__"))
    written = st.sampled_from([0, 0, 0, 5, None])
    snapshots = []
    for guid in sorted(draw(st.sets(st.integers(1, 15), max_size=4))):
        base = snap(guid, draw(names), written=draw(written))
        young = draw(st.booleans())
        snapshots.append(replace(base, creation=SET_ASIDE + 2 * DAY + guid if young else guid))
    return aside(
        *snapshots,
        holds=draw(st.sampled_from(list(Holds))),
        written=draw(written),
        readonly=draw(st.sampled_from([True, True, False, None])),
        origin=draw(st.sampled_from(["pool/a@b", "pool/a@b", None])),
        token=draw(st.sampled_from([None, None, "1-2"])),
    )


@given(found=anything_aside(), stale=st.sets(st.integers(1, 15)), grace=st.sampled_from([0.0, 1e9]))
def test_nothing_goes_that_may_be_somebodys(found: Dataset, stale: set[int], grace: float) -> None:
    parts = aside_of(found)
    assert parts is not None
    permit = decide_aside(SENT, parts, grace, {1000 + each for each in stale}, 30.0 * DAY)
    if permit is None:
        return
    assert grace == 0
    assert (found.written, found.readonly, found.token) == (0, True, None)
    for snapshot in permit.snapshots:
        sent = (
            snapshot.job == JOB and snapshot.guid in SENT.known.sent and snapshot.set_time in {1000 + s for s in stale}
        )
        empty = snapshot.job is None and snapshot.written == 0 and snapshot.creation > SET_ASIDE + DAY
        assert sent or empty


@pytest.mark.parametrize(("schedule", "counted"), [("*/15", DAY), ("mon 03:00", 14 * DAY)])
def test_what_keep_wants_does_not_go_at_once_where_the_clock_jumped_ahead(schedule: str, counted: int) -> None:
    """Of the time between two sets no more counts than the schedule explains."""
    job, ahead = Job(JOB, "beta", keep="6h:15m,7d:1h", schedule=schedule), 1000 + 365 * DAY
    keep = keep_of(job, ["30d:1h"], float(ahead))

    assert keep.stale([1000, ahead], ahead) == set()
    assert keep.longest_gap == keep.former[0].longest_gap == counted
