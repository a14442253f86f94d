"""What becomes of a replica that goes back to an older set, and what its clone gets."""

from __future__ import annotations

from typing import Any

import pytest

from replicator.errors import ConfigError, TargetActiveError
from replicator.guests.claims import Claim, parse_claim
from replicator.guests.clone_properties import canmount_of, properties_for_clone
from replicator.guests.older_set import (
    ChosenSet,
    Shape,
    claims_for,
    is_behind,
    newest_until,
    refuse_unmovable,
    shape_of,
    whole_sets,
)
from replicator.guests.recovery import plan_recovery, sets_to_choose, without_way_back
from replicator.models import JobId
from replicator.replication.restore_points import Replicas
from replicator.zfs.fence import Fence
from replicator.zfs.model import Dataset, Snapshot
from replicator.zfs.snapshot_names import snapshot_name
from tests.support.guest_files import NodeWithFiles

JOB = JobId(100, 0)
FENCE = Fence(JOB, "beta", 2)
FORK = "zsr-recovered-2"
OLD, MID, NEW = 1_800_000_000, 1_800_000_900, 1_800_001_800


def snapshot(name: str, txg: int, written: int = 0) -> Snapshot:
    return Snapshot(name, txg, txg, txg, written=written)


def replica(*sets: int, name: str = "tank/a", more: tuple[Snapshot, ...] = (), **facts: Any) -> Dataset:
    """A replica with sets of these times, and other snapshots."""
    own = [snapshot(snapshot_name(JOB, at), at, 512) for at in sets]
    every = tuple(sorted([*own, *more], key=lambda each: each.createtxg))
    known: dict[str, Any] = {"readonly": True, "written": 0, "job": "100-0", "source": "alpha"} | facts
    return Dataset(name, is_volume=False, guid=hash(name), snapshots=every, **known)


def replicas(*found: Dataset) -> Replicas:
    return Replicas({each.name: each for each in found})


class TestTheChoice:
    def test_is_the_newest_whole_set_of_the_moment_or_before(self) -> None:
        sets = whole_sets(JOB, [replica(OLD, MID, NEW), replica(OLD, NEW, name="tank/b")])
        assert sets == [NEW, OLD]
        assert [newest_until(sets, at) for at in (OLD - 1, OLD, MID, NEW + 0.5)] == [None, OLD, OLD, NEW]
        assert whole_sets(JOB, []) == []

    def test_counts_only_sets_of_all_volumes_that_the_guest_lists_and_the_person_does_not_give_up(self) -> None:
        found = replicas(replica(OLD, MID, NEW), replica(MID, NEW, name="tank/b"))
        assert sets_to_choose(JOB, "alpha", found) == [NEW, MID]
        assert sets_to_choose(JOB, "alpha", found, without=["tank/b"]) == [NEW, MID, OLD]
        assert sets_to_choose(JOB, "alpha", found, wanted=["tank/c"]) == []
        assert sets_to_choose(JOB, "gamma", found) == []

    def test_takes_what_left_the_guest_later_and_says_what_is_newer(self) -> None:
        left = replica(OLD, name="tank/left")
        found = plan_recovery(JOB, "alpha", "beta", replicas(replica(OLD, MID, NEW), left), at=OLD)
        assert ([each.name for each in found.replicas], found.set_time, found.newer) == (
            ["tank/a", "tank/left"],
            OLD,
            NEW,
        )

    def test_goes_on_from_one_moment_where_a_volume_is_ahead(self) -> None:
        found = plan_recovery(
            JOB, "alpha", "beta", replicas(replica(OLD, MID, NEW), replica(OLD, MID, name="tank/b")), at=MID
        )
        assert (found.set_time, found.newer) == (MID, NEW)

    def test_leaves_no_volume_behind(self) -> None:
        with pytest.raises(ConfigError, match="'tank/b' on beta cannot be taken with the others"):
            plan_recovery(JOB, "alpha", "beta", replicas(replica(OLD, MID), replica(MID, name="tank/b")), at=OLD)
        with pytest.raises(ConfigError, match="'tank/cut' on beta cannot be taken with the others"):
            plan_recovery(JOB, "alpha", "beta", replicas(replica(OLD, MID), replica(name="tank/cut")), at=OLD)

    @pytest.mark.parametrize(
        ("found", "alone"),
        [
            (replica(OLD, NEW), ["tank/a"]),
            (replica(OLD), []),
            (replica(OLD, NEW, more=(snapshot("daily", OLD - 1),)), []),
            (replica(OLD, NEW, more=(snapshot("daily", OLD + 1),)), ["tank/a"]),
        ],
        ids=["only sets", "the newest", "an older one of others", "a newer one of others"],
    )
    def test_says_of_what_the_old_node_has_probably_nothing_that_old(self, found: Dataset, alone: list[str]) -> None:
        assert without_way_back(plan_recovery(JOB, "alpha", "beta", replicas(found), at=OLD)) == alone


class TestTheShape:
    @pytest.mark.parametrize(
        ("found", "shape"),
        [
            (replica(OLD), Shape.DONE),
            (replica(OLD, more=(snapshot("tool", OLD + 1),)), Shape.DONE),
            (replica(OLD, more=(snapshot("tool", OLD + 1, 512),)), Shape.SET_ASIDE),
            (replica(OLD, NEW), Shape.SET_ASIDE),
            (replica(OLD, NEW, more=(snapshot(FORK, NEW + 1, 512),)), Shape.DONE),
            (replica(OLD, more=(snapshot(FORK, OLD + 1, 512), snapshot("tool", OLD + 2, 512))), Shape.DONE),
            (replica(origin=f"tank/zsr-diverged/a-1@{snapshot_name(JOB, OLD)}"), Shape.PROMOTE),
            (replica(origin=f"tank/zsr-diverged/a-1@{snapshot_name(JOB, NEW)}"), Shape.IMPOSSIBLE),
            (replica(origin=f"tank/base@{snapshot_name(JOB, OLD)}"), Shape.IMPOSSIBLE),
            (replica(NEW), Shape.IMPOSSIBLE),
        ],
    )
    def test_says_what_is_left_to_do(self, found: Dataset, shape: Shape) -> None:
        assert shape_of(JOB, found, OLD, FORK) is shape

    def test_a_later_set_without_a_byte_is_newer_too(self) -> None:
        assert is_behind(JOB, replica(OLD, more=(snapshot(snapshot_name(JOB, NEW), NEW),)), OLD)

    async def test_one_that_is_mounted_is_not_moved(self) -> None:
        class Node(NodeWithFiles):
            async def program(self, *_: object) -> None:
                """It runs none."""

        with pytest.raises(TargetActiveError, match="'tank/a' on beta is mounted, and has to be kept aside"):
            await refuse_unmovable(JOB, [replica(OLD, NEW, mounted=True)], OLD, Node("beta").client)
        await refuse_unmovable(JOB, [replica(OLD, mounted=True)], OLD, Node("beta").client)


class TestAClaim:
    def test_is_read_as_it_was_written(self) -> None:
        claim = Claim(2, OLD, "tank/a:b/c")
        assert parse_claim(claim.text) == claim

    @pytest.mark.parametrize("text", ["", "on", "2:on:tank/a", "x:1:tank/a", "2:1:", "²:1:tank/a"])
    def test_is_none_where_the_text_names_no_set(self, text: str) -> None:
        assert parse_claim(text) is None

    def test_is_set_once_and_never_on_what_was_renamed(self) -> None:
        found = [replica(OLD), replica(OLD, name="tank/b"), replica(OLD, name="tank/zsr-diverged/c-1")]
        chosen = ChosenSet(OLD, ("tank",), 0.0)
        assert claims_for(FENCE, found, chosen, {"tank/b": Claim(2, OLD, "tank/b")}) == {"tank/a": f"2:{OLD}:tank/a"}


class TestTheClone:
    def test_has_what_the_replica_has_itself_and_what_came_with_streams(self) -> None:
        own = {"atime": "off", "readonly": "on", "canmount": "noauto", "zsr:job": "100-0", "my:own": "1"}
        received = {"compression": "gzip", "atime": "on", "mountpoint": "/srv", "zsr:owner": "alpha"}
        found = properties_for_clone(own, received, FORK, is_volume=False)
        assert found == {"atime": "off", "compression": "gzip", "my:own": "1"}

    def test_remembers_the_limits_that_a_replica_is_kept_without(self) -> None:
        own = {"quota": "0", "reservation": "none", "zsr:reservation": "7"}
        received = {"quota": "9", "reservation": "8", "refquota": "5"}
        found = properties_for_clone(own, received, FORK, is_volume=False)
        assert found == {"zsr:quota": "9", "zsr:reservation": "7", "refquota": "5"}

    def test_of_a_zvol_reserves_what_was_noted_before_it_was_set_aside(self) -> None:
        own = {"refreservation": "none", "zsr:refreservation": "9", "volsize": "9"}
        found = properties_for_clone(own, {"refreservation": "8", "reservation": "7"}, FORK, is_volume=True)
        assert found == {"zsr:refreservation": "9", "zsr:reservation": "7"}

    def test_is_mounted_as_the_source_was_for_its_own_fork(self) -> None:
        found = properties_for_clone({}, {"canmount": "off"}, FORK, is_volume=False)
        assert found == {"zsr:canmount": f"off@{FORK}"}
        assert canmount_of(found, FORK) == "off"
        assert canmount_of(found, "zsr-recovered-3") is None
        assert canmount_of({}, FORK) is None
