"""Volumes that moved: which replica each continues, what keeps another job's from being taken over, what it brings."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import replace

import pytest

from replicator.models import Guest, Job, JobId, KnownSets, Storage, Synced, Volume
from replicator.replication.context import OtherJobs, RunContext
from replicator.replication.destruction import decide_superseded
from replicator.replication.discovery import Discovered
from replicator.replication.former_jobs import left_behind
from replicator.replication.moved_volumes import (
    MovedVolume,
    accepted,
    candidates,
    inherited,
    match,
    still_continued,
    wants_replica,
    with_taken,
)
from replicator.replication.plan import Conflict, Full, Incremental, Promote, SetAside, VolumePair, make_plan, may_move
from replicator.replication.snapshot_sets import newest_whole_set
from replicator.replication.trees import Rename
from replicator.schedule.retention import RetentionPolicy
from replicator.zfs.fence import Fence
from replicator.zfs.model import Dataset, Inventory, Snapshot
from replicator.zfs.snapshot_names import snapshot_name
from tests.support.played_host import PlayedHost
from tests.support.volumes import JOB, WAY, dataset, pair, snap

OLD = JobId(200, 0)
JOB_HERE = Job(JOB, "beta")
TAKER = replace(WAY, fence=Fence(JOB, "alpha", 3))
STORAGES = (Storage("data", "tank", paths=(("beta", "pool"),)), Storage("more", "tank/more"))
GUESTS = {100: Guest(100, "web", "alpha"), 200: Guest(200, "db", "alpha")}


def old(guid: int, *, written: int = 0) -> Snapshot:
    """A snapshot of the other guest's job."""
    return snap(guid, snapshot_name(OLD, 1000 + guid), written=written)


def theirs(*snapshots: Snapshot, **more: object) -> Dataset:
    """The other job's replica of the volume that moved."""
    facts = {"name": "pool/vm-200-disk-0", "job": str(OLD), "source": "alpha", "readonly": True, **more}
    return replace(dataset(*(snapshots or (old(1), old(3)))), guid=7, **facts)  # type: ignore[arg-type]


def volume(*snapshots: Snapshot, **more: object) -> Dataset:
    """The volume on the source."""
    facts = {"name": "tank/vm-100-disk-0", **more}
    return replace(dataset(*(snapshots or (old(3), snap(5)))), guid=9, **facts)  # type: ignore[arg-type]


def moved(replica: Dataset | None = None, source: Dataset | None = None) -> MovedVolume:
    return MovedVolume(pair(source or volume(), None), replica or theirs(), OLD)


def others(*jobs: Job, guests: Iterable[Guest] = GUESTS.values(), known: KnownSets | None = None) -> OtherJobs:
    """The other jobs of the cluster; nothing is locked."""

    async def remembered(job: JobId) -> KnownSets:
        return known or KnownSets()

    async def ended(job: JobId, guid: int) -> None: ...

    async def keeps(job: JobId) -> tuple[str, ...]:
        return ()

    async def inherit(job: Job, texts: tuple[str, ...], since: float) -> None: ...

    mine = jobs or (JOB_HERE, Job(OLD, "beta"))
    return OtherJobs(
        {each.id: each for each in mine},
        {each.id: each for each in guests},
        remembered,
        lambda _: nullcontext(),
        ended,
        keeps,
        inherit,
    )


def found(*datasets: Dataset) -> dict[str, Inventory]:
    return {"pool": Inventory({each.name: each for each in datasets})}


def on_source(*datasets: Dataset) -> Inventory:
    return Inventory({each.name: each for each in (volume(), *datasets)})


class TestReplica:
    def test_of_another_guest_of_the_node_may_be_continued(self) -> None:
        assert candidates(TAKER, others(), found(theirs())) == [theirs()]

    @pytest.mark.parametrize(
        "change",
        [
            {"readonly": False},
            {"readonly": None},
            {"written": 1},
            {"mounted": True},
            {"token": "1-a-b-c"},
            {"source": "omega"},
            {"job": None},
            {"job": "nobody"},
            {"job": "100-0"},
            {"name": "pool"},
            {"name": "pool/zsr-diverged/vm-200-disk-0-reseed"},
        ],
        ids=str,
    )
    def test_in_use_or_not_of_this_node_may_not(self, change: dict[str, object]) -> None:
        assert candidates(TAKER, others(), found(theirs(**change))) == []

    @pytest.mark.parametrize(
        ("jobs", "guests", "allowed"),
        [
            ((JOB_HERE,), GUESTS.values(), True),
            ((JOB_HERE,), [GUESTS[100]], True),
            ((JOB_HERE, Job(OLD, "beta")), [GUESTS[100]], False),
            ((JOB_HERE, Job(OLD, "beta")), [GUESTS[100], Guest(200, "db", "gamma")], False),
            ((JOB_HERE,), [GUESTS[100], Guest(200, "db", "gamma")], False),
            ((JOB_HERE, Job(OLD, "delta")), GUESTS.values(), True),
        ],
        ids=["job gone", "both gone", "guest unknown", "guest elsewhere", "guest elsewhere, job gone", "other target"],
    )
    def test_of_a_guest_that_another_node_may_own_may_not(
        self, jobs: tuple[Job, ...], guests: Iterable[Guest], *, allowed: bool
    ) -> None:
        assert bool(candidates(TAKER, others(*jobs, guests=guests), found(theirs()))) is allowed

    @pytest.mark.parametrize(
        ("replica", "place", "may"),
        [
            (theirs(), None, True),
            (theirs(name="pool/more/x"), dataset(name="pool"), True),
            (theirs(name="hdd/x"), None, False),
            (theirs(name="pool/more/x", encryption_root="pool/more/x"), dataset(name="pool"), True),
            (theirs(name="pool/more/x", encryption_root="pool"), dataset(name="pool", encryption_root="pool"), True),
            (theirs(name="pool/more/x", encryption_root="pool/more"), dataset(name="pool"), False),
            (theirs(name="pool/more/x"), dataset(name="pool", encryption_root="pool"), False),
        ],
    )
    def test_moves_within_its_pool_and_below_the_dataset_that_has_its_key(
        self, replica: Dataset, place: Dataset | None, *, may: bool
    ) -> None:
        assert may_move(replace(pair(volume(), None), place=place), replica) is may


class TestMatch:
    def test_goes_by_the_newest_common_snapshot_and_never_by_name(self) -> None:
        named = theirs(snap(99, snapshot_name(OLD, 1003)), name="pool/a")
        older, newer = theirs(old(1), name="pool/b"), theirs(old(3), name="pool/c")
        [one] = match([pair(volume(old(1), old(3)), None)], [named, older, newer])
        assert one.replica == newer

    def test_prefers_a_replica_to_one_that_is_kept_aside(self) -> None:
        aside = theirs(name="pool/zsr-diverged/vm-200-disk-0-9")
        [one] = match([pair(volume(), None)], [aside, theirs()])
        assert one.replica == theirs()

    def test_gives_a_replica_to_one_volume_and_none_of_another_kind(self) -> None:
        first = pair(volume(), None)
        second = VolumePair(Volume("data", "vm-100-disk-1"), "pool", volume(), "pool/vm-100-disk-1", None)
        assert [each.pair for each in match([first, second], [theirs()])] == [first]
        assert match([first], [theirs(is_volume=True)]) == []


class TestItsOwnGuest:
    @pytest.mark.parametrize(
        "other",
        [
            dataset(old(1), name="tank/vm-200-disk-0"),
            dataset(old(1), name="tank/more/vm-200-disk-7"),
            dataset(name="tank/vm-200-disk-0", origin="tank/vm-100-disk-0@x"),
        ],
        ids=["a copy", "on another storage", "the origin of a promoted clone"],
    )
    def test_still_continues_it(self, other: Dataset) -> None:
        assert still_continued(TAKER, others(), STORAGES, moved(), on_source(other)) == other.name

    @pytest.mark.parametrize(
        "other",
        [
            dataset(old(1), name="tank/backup/vm-200-disk-0"),
            dataset(old(8), name="tank/vm-200-disk-0"),
            dataset(old(1), name="tank/vm-300-disk-0"),
        ],
        ids=["a backup", "another disk of that name", "a third guest's copy"],
    )
    def test_does_not_continue_it_any_more(self, other: Dataset) -> None:
        assert still_continued(TAKER, others(), STORAGES, moved(), on_source(other)) is None

    @pytest.mark.parametrize(
        "guest",
        [
            replace(GUESTS[200], volumes=(Volume("data", "disk"),)),
            replace(GUESTS[200], excluded=frozenset({Volume("data", "disk")})),
        ],
        ids=["listed", "left out"],
    )
    def test_continues_what_its_settings_name(self, guest: Guest) -> None:
        guests = [GUESTS[100], guest]
        live = dataset(old(1), name="tank/disk")
        assert still_continued(TAKER, others(guests=guests), STORAGES, moved(), on_source(live)) == "tank/disk"

    def test_shares_the_very_volume_with_this_guest(self) -> None:
        """Two guests list one dataset; both replicate it."""
        guests = [GUESTS[100], replace(GUESTS[200], volumes=(Volume("data", "vm-100-disk-0"),))]
        found = still_continued(TAKER, others(guests=guests), STORAGES, moved(), on_source())
        assert found == "tank/vm-100-disk-0"


class TestPlan:
    def test_a_replica_that_is_taken_over_is_renamed_and_goes_on(self) -> None:
        discovered = Discovered((pair(volume(), None),), (), ())
        assert accepted(TAKER, JOB_HERE, discovered, [moved()]) == [moved()]
        after = with_taken(TAKER, discovered, [moved()])
        (action,) = make_plan(TAKER, after.volumes, after.orphans).actions
        assert isinstance(action, Incremental)
        assert (action.base, action.preparations) == (old(3), (Rename("pool/vm-200-disk-0"),))
        assert action.pair.target is not None
        assert (action.pair.target.owner, action.pair.target.epoch) == ("alpha", "3")

    def test_a_volume_that_changed_its_guest_by_its_settings_goes_on_under_its_name(self) -> None:
        at_place = pair(volume(), theirs(name="pool/vm-100-disk-0"))
        discovered = Discovered((at_place,), (), ())
        plan = make_plan(TAKER, discovered.volumes)
        assert isinstance(plan.conflicts[0], Conflict)
        assert wants_replica(plan) == [at_place]
        one = MovedVolume(at_place, theirs(name="pool/vm-100-disk-0"), OLD)
        assert accepted(TAKER, JOB_HERE, discovered, [one]) == [one]

    def test_the_replica_that_has_the_name_is_set_aside_first(self) -> None:
        displaced = pair(volume(), dataset(snap(2), name="pool/vm-100-disk-0", job=str(JOB), readonly=True))
        discovered = Discovered((displaced,), (), ())
        assert wants_replica(make_plan(TAKER, discovered.volumes)) == [displaced]
        after = with_taken(TAKER, discovered, [MovedVolume(displaced, theirs(), OLD)])
        (action,) = make_plan(TAKER, after.volumes, after.orphans).actions
        assert action.preparations == (SetAside(None), Rename("pool/vm-200-disk-0"))

    @pytest.mark.parametrize("used", [{"readonly": False}, {"mounted": True}], ids=str)
    def test_one_in_use_that_has_the_name_is_a_conflict(self, used: dict[str, bool]) -> None:
        named = replace(dataset(snap(2), name="pool/vm-100-disk-0", job=str(JOB), readonly=True), **used)  # type: ignore[arg-type]
        plan = make_plan(WAY, [pair(dataset(snap(1)), named)], [theirs(snap(1), job=str(JOB))])
        assert plan.actions == ()

    def test_an_own_replica_goes_on_under_a_name_whose_replica_lost_its_volume(self) -> None:
        """One disk was destroyed, and another one got its name."""
        named = dataset(snap(2), name="pool/vm-100-disk-0", job=str(JOB), readonly=True)
        other = dataset(snap(1), name="pool/vm-100-disk-1", job=str(JOB), readonly=True)
        (action,) = make_plan(WAY, [pair(dataset(snap(1)), named)], [other]).actions
        assert action.preparations == (SetAside(None), Rename(other.name))

    def test_a_replica_on_another_storage_of_its_pool_goes_on(self) -> None:
        orphan = dataset(snap(1), name="pool/more/vm-100-disk-0", job=str(JOB))
        (action,) = make_plan(WAY, [pair(dataset(snap(1)), None)], [orphan]).actions
        assert action.preparations == (Rename("pool/more/vm-100-disk-0"),)
        elsewhere = replace(orphan, name="hdd/vm-100-disk-0")
        assert make_plan(WAY, [pair(dataset(snap(1)), None)], [elsewhere]).orphans == (elsewhere,)

    def test_what_is_aside_goes_on_only_where_nothing_in_it_is_newer(self) -> None:
        aside = theirs(name="pool/zsr-diverged/vm-200-disk-0-9")
        newer = theirs(old(3), old(4, written=5), name="pool/zsr-diverged/vm-200-disk-0-9")
        discovered = Discovered((pair(volume(), None),), (), ())
        assert accepted(TAKER, JOB_HERE, discovered, [moved(aside)]) == [moved(aside)]
        assert accepted(TAKER, JOB_HERE, discovered, [moved(newer)]) == []
        beyond = theirs(old(3), old(4, written=5))
        assert accepted(TAKER, JOB_HERE, discovered, [moved(beyond)]) == [moved(beyond)]
        after = with_taken(TAKER, discovered, [moved(beyond)])
        (action,) = make_plan(TAKER, after.volumes, after.orphans).actions
        assert action.preparations == (Rename("pool/vm-200-disk-0"), SetAside(old(3)), Promote())

    def test_a_raw_job_does_not_go_on_with_a_readable_replica(self) -> None:
        encrypted = pair(volume(encrypted=True), None)
        one = MovedVolume(encrypted, theirs(), OLD)
        assert accepted(TAKER, JOB_HERE, Discovered((encrypted,), (), ()), [one]) == []

    def test_nothing_is_looked_for_where_nothing_can_be_found(self) -> None:
        new, begun = (
            volume(),
            replace(pair(volume(), theirs(job=str(JOB), token="t")), target_name="pool/vm-200-disk-0"),
        )
        assert wants_replica(make_plan(WAY, [pair(replace(new, snapshots=()), None)])) == []
        assert wants_replica(make_plan(WAY, [replace(begun, source=volume(snap(8)))])) == []
        foreign = pair(volume(), dataset(snap(99), name="pool/vm-100-disk-0"))
        second = VolumePair(Volume("data", "vm-100-disk-1"), "pool", volume(), "pool/vm-100-disk-1", None)
        assert wants_replica(make_plan(WAY, [foreign, second])) == []
        assert isinstance(make_plan(WAY, [second]).actions[0], Full)


class TestRestorePoints:
    KNOWN = KnownSets(sent=frozenset({1, 3, 4}), carried=frozenset({4}))

    def test_of_the_old_job_are_the_jobs_own_if_this_node_brought_them(self) -> None:
        replica = theirs(old(1), old(2), old(3), old(4), snap(6, "mine"))
        sets = inherited(WAY, Synced(), moved(replica), self.KNOWN).sets
        assert [set(each) for each in (sets.inherited, sets.sent, sets.carried)] == [{1, 3}, {4}, {4}]

    def test_that_the_old_job_had_inherited_are_handed_on_and_come_back_as_the_jobs_own(self) -> None:
        replica = theirs(old(1), snap(3), snap(4, snapshot_name(JobId(300, 0), 5)))
        known = KnownSets(inherited=frozenset({3, 4}), sent=frozenset({1}))
        sets = inherited(WAY, Synced(), moved(replica), known).sets
        assert [set(each) for each in (sets.inherited, sets.sent)] == [{1, 4}, {3}]

    def test_age_by_keep_on_their_own_replica_and_cost_no_other_disk_a_point(self) -> None:
        own = dataset(snap(1), snap(2), snap(3), name="pool/a", job=str(JOB))
        taken = dataset(old(1), old(2), snap(3), name="pool/b", job=str(JOB))
        known = KnownSets(sent=frozenset({1, 2, 3}), inherited=frozenset({1, 2}))
        source = dataset(snap(3))
        way = replace(WAY, known=replace(known, sent=frozenset({3}), taken=(1001, 1002, 1003)))
        permits = decide_superseded(
            way, RetentionPolicy.parse("2"), [(source, own), (source, taken)], snap(3).name, 9000.0
        )
        assert [[s.guid for s in permit.snapshots] for permit in permits] == [[1], [1]]

    def test_that_this_node_does_not_know_to_have_brought_stay(self) -> None:
        taken = dataset(old(1), snap(3), name="pool/b", job=str(JOB))
        (permit,) = decide_superseded(
            replace(WAY, known=KnownSets(taken=(1003,))),
            RetentionPolicy.parse("1"), [(dataset(snap(3)), taken)], snap(3).name, 9000.0,
        )  # fmt: skip
        assert permit.snapshots == ()

    def test_a_disk_that_joined_under_a_name_that_was_there_makes_no_copy_lost(self) -> None:
        known = KnownSets(1003, ("data:vm-100-disk-0", "data:vm-100-disk-1"))
        stayed = VolumePair(
            Volume("data", "vm-100-disk-1"), "pool", dataset(snap(3)), "pool/vm-100-disk-1", dataset(snap(3))
        )
        joined = pair(dataset(old(3)), theirs(old(3), job=str(JOB)))
        assert newest_whole_set(JOB, [stayed, joined], known, 9000.0) == 1003
        lost = pair(dataset(snap(9, "x")), dataset(snap(9, "x"), job=str(JOB)))
        assert newest_whole_set(JOB, [stayed, lost], known, 9000.0) is None


class TestWhatAFormerJobLeft:
    KNOWN = KnownSets(taken=(1001, 1003))

    def left(
        self, *jobs: Job, source: Dataset | None = None, guests: Iterable[Guest] = GUESTS.values(), clones: str = ""
    ) -> set[str]:
        """What goes from the source after the proof."""
        known = others(*jobs, guests=guests, known=self.KNOWN)
        context = RunContext(JOB_HERE, GUESTS[100], STORAGES, 60.0, Synced(), last_run_failed=False, others=known)
        done = pair(source or volume(old(1), old(2), old(3), snap(5), snap(6, "mine")), dataset(snap(5)))
        host = PlayedHost()
        host.clones = clones
        found = asyncio.run(left_behind(context, WAY, [done], host.client))
        return {name for each in found for name in each.permit.names}

    def test_goes_if_this_node_made_it(self) -> None:
        assert self.left() == {f"tank/vm-100-disk-0@{old(guid).name}" for guid in (1, 3)}

    @pytest.mark.parametrize(("value", "goes"), [("", True), ("-", True), ("tank/vm-200-disk-0", False)])
    def test_stays_while_it_has_a_clone(self, value: str, *, goes: bool) -> None:
        """The volume was the clone, and was promoted: a promote of the other one brings that its base back."""
        printed = f"tank/vm-100-disk-0@a\tclones\t-\ntank/vm-100-disk-0@b\tclones\t{value}\n"
        assert bool(self.left(clones=printed)) is goes

    @pytest.mark.parametrize(
        ("jobs", "goes"),
        [
            ((JOB_HERE, Job(OLD, "gamma")), True),
            ((JOB_HERE, Job(OLD, "gamma"), Job(JobId(100, 2), "gamma")), False),
            ((JOB_HERE, Job(OLD, "beta"), Job(JobId(100, 2), "gamma")), True),
            ((JOB_HERE,), True),
            ((JOB_HERE, Job(JobId(100, 2), "gamma")), False),
        ],
        ids=["no counterpart", "another job's counterpart", "this job's counterpart", "job gone", "gone, whose?"],
    )
    def test_stays_while_another_job_of_the_guest_may_need_it(self, jobs: tuple[Job, ...], *, goes: bool) -> None:
        assert bool(self.left(*jobs)) is goes

    def test_stays_while_the_other_guest_has_the_volume_too(self) -> None:
        guests = [GUESTS[100], replace(GUESTS[200], volumes=(Volume("data", "vm-100-disk-0"),))]
        assert self.left(guests=guests) == set()

    def test_stays_where_it_was_received(self) -> None:
        """The volume was a replica once: what it holds are restore points."""
        assert self.left(source=volume(old(1), old(2), snap(5), job=str(OLD))) == set()
