"""When the replica of a vanished volume may be destroyed: each reason to keep it, and the laws over random facts."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicator.models import Guest, KnownSets, Storage, Vanished, Volume
from replicator.replication.destruction import KeepAside, Stays, decide_left_out, decide_vanished
from replicator.replication.grace_ends import left_out_as, read_for
from replicator.replication.plan import Full, Incremental, Plan, SetAside
from replicator.replication.vanished import replaced_replicas
from replicator.schedule.grace import NEVER, Terms, is_over
from replicator.zfs.model import Dataset, Inventory
from replicator.zfs.permits import Law, ReplicaPermit
from tests.support.volumes import JOB, bookmark, dataset, pair, snap
from tests.support.volumes import WAY as FORGETFUL

NAME = "pool/vm-100-disk-1"
NOW, DAY = 1_800_000_000.0, 86400.0
WAY = replace(FORGETFUL, known=KnownSets(sent=frozenset({1, 3})))
WEEK = Terms(7 * DAY)
OVER = Vanished(NAME, 1, NOW, NOW + 8 * DAY, waited=8 * DAY, announced=6 * DAY)
NOTHING = Inventory()


def replica(**more: object) -> Dataset:
    """The replica of a volume that is gone."""
    found = {"name": NAME, "job": str(JOB), "readonly": True, "mounted": False, **more}
    return dataset(snap(1), snap(3), **found)  # type: ignore[arg-type]


def inventory(*datasets: Dataset) -> Inventory:
    return Inventory({each.name: each for each in datasets})


def decided(record: Vanished | None = OVER, found: Dataset | None = None) -> ReplicaPermit | KeepAside | Stays:
    return decide_vanished(WAY, found or replica(), record, WEEK, NOTHING)


class TestTheReplicaOfAVanishedVolume:
    def test_may_go_when_its_grace_is_over_with_the_snapshots_that_it_has_now(self) -> None:
        permit = decided()
        assert isinstance(permit, ReplicaPermit)
        assert (permit.law, permit.dataset, permit.guid, permit.job, permit.source) == (
            Law.VANISHED, NAME, 1, str(JOB), "alpha",
        )  # fmt: skip
        assert permit.snapshots == replica().snapshots
        assert "grace" in permit.why

    @pytest.mark.parametrize("record", [replace(OVER, waited=6.5 * DAY), replace(OVER, announced=None)])
    def test_stays_until_its_grace_is_over(self, record: Vanished) -> None:
        found = decided(record)
        assert isinstance(found, Stays)
        assert found.until is not None

    @pytest.mark.parametrize("record", [None, replace(OVER, guid=2)], ids=["unknown", "another dataset"])
    def test_stays_where_nothing_is_known_of_its_waiting(self, record: Vanished | None) -> None:
        assert decided(record) == Stays(Law.VANISHED, "its volume vanished from the source")

    def test_stays_where_the_source_was_not_read(self) -> None:
        found = decide_vanished(WAY, replica(), OVER, WEEK, None)
        assert isinstance(found, Stays)
        assert found.law is Law.UNKNOWN

    def test_stays_where_its_volume_would_not_be_seen_on_the_source(self) -> None:
        """Its storage is other nodes', and lies there inside one that is read."""
        outer, inner = Storage("outer", "pool"), Storage("inner", "fast", paths=(("beta", "pool/fast"),))
        others = replace(inner, nodes=frozenset({"beta"}))

        assert read_for("pool/fast/a", WAY, (outer, others), NOTHING) is None
        assert read_for("pool/fast/a", WAY, (outer, inner), NOTHING) is NOTHING
        assert read_for("pool/fast/a", WAY, (outer, others, replace(inner, name="again")), NOTHING) is NOTHING
        assert read_for("pool/a", WAY, (outer, others), NOTHING) is NOTHING
        assert read_for("elsewhere/a", WAY, (outer, others), NOTHING) is NOTHING

    @pytest.mark.parametrize(
        "live",
        [dataset(snap(3), name="tank/vm-200-disk-0"), dataset(bookmarks=(bookmark(1),), name="tank/vm-200-disk-0")],
        ids=["a snapshot", "a bookmark"],
    )
    def test_stays_while_a_volume_of_the_source_has_something_in_common_with_it(self, live: Dataset) -> None:
        found = decide_vanished(WAY, replica(), OVER, WEEK, inventory(replace(live, guid=9)))
        assert found == Stays(Law.VANISHED, "it continues on alpha as tank/vm-200-disk-0")

    def test_goes_though_a_volume_that_the_settings_leave_out_has_something_in_common(self) -> None:
        live = replace(dataset(snap(3)), guid=9)
        here = inventory(live)
        assert isinstance(decide_vanished(WAY, replica(), OVER, WEEK, here), Stays)
        assert isinstance(decide_vanished(WAY, replica(), OVER, WEEK, here, {live.name}), ReplicaPermit)

    def test_does_not_continue_as_itself_where_one_machine_plays_both_nodes(self) -> None:
        assert isinstance(decide_vanished(WAY, replica(), OVER, WEEK, inventory(replica())), ReplicaPermit)

    @pytest.mark.parametrize("use", [{"readonly": False}, {"written": 512}, {"mounted": True}])
    def test_stays_while_it_is_in_use(self, use: dict[str, object]) -> None:
        found = decided(found=replica(**use))
        assert isinstance(found, Stays)
        assert found.law is Law.IN_USE

    @pytest.mark.parametrize("marks", [{"job": "100-7"}, {"source": "gamma"}, {"job": None, "source": None}])
    def test_stays_with_the_marks_of_others(self, marks: dict[str, object]) -> None:
        found = decided(found=replica(**marks))
        assert isinstance(found, Stays)
        assert found.law is Law.OURS

    @pytest.mark.parametrize(
        "known", [KnownSets(), KnownSets(taken=(1001, 1003)), KnownSets(taken=(1001,), sent=frozenset({1}))]
    )
    def test_stays_where_this_node_does_not_know_that_it_sent_its_sets(self, known: KnownSets) -> None:
        found = decide_vanished(replace(WAY, known=known), replica(), OVER, WEEK, NOTHING)
        assert isinstance(found, Stays)
        assert found.law is Law.OURS
        assert "does not know" in found.why

    @pytest.mark.parametrize("known", [KnownSets(by_name=True), KnownSets(taken=(1003,), sent=frozenset({1}))])
    def test_goes_where_its_sets_are_known_by_name_or_the_last_one_by_its_time(self, known: KnownSets) -> None:
        assert isinstance(decide_vanished(replace(WAY, known=known), replica(), OVER, WEEK, NOTHING), ReplicaPermit)

    def test_is_kept_aside_with_a_snapshot_created_on_the_target(self) -> None:
        found = replace(replica(), snapshots=(*replica().snapshots, snap(4, "mine")))
        assert decide_vanished(WAY, found, OVER, WEEK, NOTHING) == KeepAside(snap(4, "mine"))

    def test_stays_while_another_replica_lies_below_it(self) -> None:
        found = decide_vanished(WAY, replica(), OVER, WEEK, NOTHING, below=f"{NAME}/var")
        assert found == Stays(Law.VANISHED, f"its grace is over, and '{NAME}/var' lies below it")

    def test_has_its_last_day_again_when_what_kept_it_is_over(self) -> None:
        found = decided(replace(OVER, kept="it is mounted"))
        assert isinstance(found, Stays)
        assert found.again
        at_once = decide_vanished(WAY, replica(), replace(OVER, kept="it is mounted"), Terms(0.0), NOTHING)
        assert isinstance(at_once, ReplicaPermit)


RECORDS = st.none() | st.builds(
    Vanished,
    st.just(NAME),
    st.sampled_from([1, 1, 1, 2]),
    st.just(NOW),
    st.just(NOW),
    st.sampled_from([0.0, DAY, 6 * DAY, 7 * DAY, 8 * DAY, 400 * DAY]),
    st.none() | st.sampled_from([0.0, 6 * DAY, 7 * DAY]),
    kept=st.sampled_from(["", "", "it is mounted"]),
)
GRACES = st.sampled_from([0.0, DAY, 2 * DAY, 7 * DAY, NEVER])
REPLICAS = st.builds(
    replica,
    job=st.sampled_from([str(JOB), str(JOB), "100-7", None]),
    source=st.sampled_from(["alpha", "alpha", "gamma"]),
    readonly=st.sampled_from([True, True, False, None]),
    written=st.sampled_from([0, 0, 512, None]),
    mounted=st.sampled_from([False, False, True, None]),
)
ON_SOURCE = st.none() | st.lists(st.sets(st.integers(1, 5), max_size=2), max_size=3).map(
    lambda sets: inventory(
        *(replace(dataset(*map(snap, guids), name=f"tank/{at}"), guid=90 + at) for at, guids in enumerate(sets))
    )
)


@given(REPLICAS, RECORDS, GRACES, ON_SOURCE)
def test_law_4_it_never_goes_before_its_end_nor_while_it_lives_elsewhere_nor_unless_the_source_was_read(
    found: Dataset, record: Vanished | None, grace: float, here: Inventory | None
) -> None:
    decision = decide_vanished(WAY, found, record, Terms(grace), here)
    if isinstance(decision, Stays):
        return
    assert record is not None
    assert here is not None
    assert record.guid == found.guid
    assert is_over(record, Terms(grace))
    assert record.waited >= grace
    if grace > DAY:
        assert record.announced is not None
        assert record.waited - record.announced >= DAY
    live = {each.guid for other in here.datasets.values() for each in other.snapshots}
    assert not live & {each.guid for each in found.snapshots}
    assert (found.job, found.source) == (str(JOB), "alpha")
    assert found.readonly is not False
    assert not found.written
    assert not found.mounted


@given(REPLICAS, RECORDS, ON_SOURCE)
def test_law_4_never_is_never(found: Dataset, record: Vanished | None, here: Inventory | None) -> None:
    assert isinstance(decide_vanished(WAY, found, record, Terms(NEVER), here), Stays)


STORAGE = Storage("data", "tank", paths=(("beta", "pool"),))


class TestAVolumeThatIsLeftOut:
    LEFT = dataset(snap(3), name="tank/vm-100-disk-1")

    def found(self, *guests: Guest, volumes: tuple[str, ...] = ("tank/a",)) -> frozenset[str]:
        pairs = [pair(dataset(name=name), None) for name in volumes]
        return left_out_as(NAME, WAY, [STORAGE], guests, pairs, inventory(self.LEFT))

    def test_is_the_one_of_the_replicas_name(self) -> None:
        assert self.found() == {self.LEFT.name}
        assert self.found(Guest(200, "other", "alpha")) == {self.LEFT.name}

    def test_is_none_that_the_guest_still_has(self) -> None:
        assert self.found(volumes=(self.LEFT.name,)) == frozenset()

    def test_is_none_that_another_guest_of_the_node_has(self) -> None:
        volume = Volume("data", "vm-100-disk-1")
        assert self.found(Guest(200, "other", "alpha", volumes=(volume,))) == frozenset()

    def test_is_none_where_the_volumes_of_a_guest_are_not_known(self) -> None:
        assert self.found(Guest(200, "other", "alpha", volumes=(Volume("data", "gone"),))) == frozenset()

    def test_is_none_below_a_path_of_no_storage(self) -> None:
        assert left_out_as("other/vm-100-disk-1", WAY, [STORAGE], [], [], inventory(self.LEFT)) == frozenset()

    def test_loses_only_what_this_node_took(self) -> None:
        way = replace(WAY, known=KnownSets(taken=(1003,)))
        permit = decide_left_out(way, dataset(snap(1), snap(2, "user"), snap(3), name=self.LEFT.name))
        assert [each.guid for each in permit.snapshots] == [3]


class TestAGuestThatWasReplaced:
    OLD = dataset(snap(1), name="pool/vm-100-disk-0", job=str(JOB))
    FULL = Full(pair(dataset(snap(9)), OLD), (SetAside(None),))

    def test_has_nothing_in_common_with_any_old_replica(self) -> None:
        assert replaced_replicas(WAY, Plan((self.FULL,))) == (self.OLD,)
        gone = Full(pair(dataset(snap(9)), None))
        assert replaced_replicas(WAY, Plan((gone,), orphans=(replica(),))) == (replica(),)

    def test_is_none_while_one_volume_goes_on(self) -> None:
        on = Incremental(pair(dataset(snap(1)), self.OLD), snap(1))
        assert replaced_replicas(WAY, Plan((self.FULL, on))) == ()

    def test_is_none_at_a_first_run_nor_where_a_first_transfer_was_cut_off(self) -> None:
        assert replaced_replicas(WAY, Plan((Full(pair(dataset(snap(9)), None)),))) == ()
        begun = replace(self.OLD, snapshots=(), token="1-abc")
        assert replaced_replicas(WAY, Plan((Full(pair(dataset(snap(9)), begun)),))) == ()
