"""Where a set was proven, and what holds for a target after the job was edited or the target's pool replaced."""

from __future__ import annotations

from dataclasses import replace

import pytest

from replicator.errors import StorageMissingError
from replicator.models import KnownSets, Node, Storage, Synced, TargetPlace, TargetStorage
from replicator.replication.destruction import decide_unproven
from replicator.replication.discovery import TargetInventory
from replicator.replication.plan import VolumePair
from replicator.replication.provenance import is_unproven
from replicator.replication.snapshot_sets import allowed_claim, proven_set
from replicator.replication.target_place import (
    Sight,
    address_of,
    at_place,
    claim_on_other_target,
    compare,
    described,
    is_edited,
    place_of,
    seen_storages,
)
from replicator.zfs.model import Dataset, Inventory
from tests.support.volumes import JOB, WAY, dataset, pair, snap

NOW = 5000.0
HERE = "10.0.0.12"
DATA = Storage("data", "pool")
PLACE = TargetPlace("beta", HERE, (TargetStorage("data", "pool", 11),))
PROVEN = Synced(1003.0, 1003, KnownSets(1003, ("data:vm-100-disk-0",), (1001, 1002, 1003, 1004)), PLACE)


def seen(**guids: int) -> TargetPlace:
    """The place of volumes on these storages as a run saw it."""
    return TargetPlace("beta", HERE, tuple(TargetStorage(name, "pool", guid) for name, guid in guids.items()))


def on_other(volumes: list[VolumePair], sight: Sight = Sight.ANOTHER, before: Synced = PROVEN) -> Synced:
    """What may be claimed of gamma, where these volumes were found."""
    gamma = TargetPlace("gamma", "10.0.0.13", (TargetStorage("data", "pool", 22),))
    return claim_on_other_target(before, gamma, WAY, volumes, NOW, sight)


class TestAClaimIsUnconfirmed:
    @pytest.mark.parametrize(
        ("target", "address", "storage"),
        [
            ("gamma", HERE, DATA),
            ("beta", "10.0.0.99", DATA),
            ("beta", HERE, replace(DATA, path="other")),
            ("beta", HERE, replace(DATA, paths=(("beta", "other"),))),
            ("beta", HERE, replace(DATA, name="renamed")),
        ],
    )
    def test_after_target_address_or_a_path_there_was_edited(self, target: str, address: str, storage: Storage) -> None:
        assert is_edited(PLACE, target, address, {storage.name: storage})

    @pytest.mark.parametrize(
        "storage",
        [DATA, replace(DATA, paths=(("alpha", "other"),)), replace(DATA, path="x", paths=(("beta", "pool"),))],
    )
    def test_not_after_an_edit_that_does_not_concern_the_target(self, storage: Storage) -> None:
        assert not is_edited(PLACE, "beta", HERE, {"data": storage, "new": Storage("new", "new")})

    def test_not_of_a_state_that_an_older_zsr_wrote(self) -> None:
        assert not is_edited(None, "gamma", HERE, {})

    def test_no_more_when_the_edit_is_taken_back_before_a_run_has_looked(self) -> None:
        assert is_edited(PLACE, "gamma", HERE, {"data": DATA})
        assert not is_edited(PLACE, "beta", HERE, {"data": DATA})


def test_an_address_has_its_port_where_that_is_not_ssh_s_own() -> None:
    assert address_of(Node("beta", HERE)) == HERE
    assert address_of(Node("beta", HERE, port=2222)) == f"{HERE}:2222"
    assert address_of(None) == ""


def test_the_place_has_the_storages_of_the_volumes_with_the_guids_that_the_inventory_lists() -> None:
    lists: dict[str, Inventory | StorageMissingError] = {
        "data": Inventory({"pool": Dataset("pool", False, 11)}),
        "idle": Inventory({"idle": Dataset("idle", False, 12)}),
        "none": StorageMissingError("It does not exist."),
    }
    storages = [DATA, Storage("idle", "idle"), Storage("none", "none"), Storage("off", "off")]
    found = seen_storages(TargetInventory(lists), storages, "beta")

    assert {name: each.guid for name, each in found.items()} == {"data": 11, "idle": 12}
    assert place_of("beta", HERE, [pair(dataset(), None)], found) == PLACE


class TestATargetIs:
    @pytest.mark.parametrize("edited", [False, True])
    def test_the_same_where_its_storages_have_the_same_guids_whatever_was_edited(self, edited: bool) -> None:
        assert compare(PLACE, seen(data=11, more=99), edited=edited) is Sight.SAME

    def test_another_one_after_an_edit(self) -> None:
        assert compare(PLACE, seen(data=22), edited=True) is Sight.ANOTHER

    def test_replaced_where_nobody_edited_it(self) -> None:
        assert compare(PLACE, seen(data=22), edited=False) is Sight.REPLACED

    def test_another_one_where_only_one_of_two_storages_is(self) -> None:
        two = replace(PLACE, storages=(*PLACE.storages, TargetStorage("fast", "ssd", 12)))
        assert compare(two, seen(data=11, fast=33), edited=True) is Sight.ANOTHER

    def test_the_same_where_a_storage_has_a_new_name(self) -> None:
        assert compare(PLACE, seen(renamed=11), edited=True) is Sight.SAME
        assert compare(PLACE, seen(renamed=22), edited=True) is Sight.ANOTHER

    def test_the_same_where_the_guest_has_moved_to_another_storage_of_it(self) -> None:
        assert compare(PLACE, seen(fast=12), edited=False) is Sight.SAME
        two = replace(PLACE, storages=(*PLACE.storages, TargetStorage("fast", "ssd", 12)))
        assert compare(two, seen(fast=12), edited=True) is Sight.SAME

    def test_taken_for_the_same_where_an_older_zsr_did_not_record_it(self) -> None:
        assert compare(None, seen(data=22), edited=False) is Sight.SAME


class TestOnAnotherTarget:
    def test_nothing_is_claimed_and_nothing_is_lost(self) -> None:
        claim = on_other([pair(dataset(snap(3)), None)])

        assert (claim.last_sync, claim.last_set, claim.sets.proven, claim.sets.volumes) == (None, None, None, ())
        assert claim.place is not None
        assert (claim.place.node, claim.place.held) == ("gamma", False)

    def test_no_set_of_the_time_before_is_destroyed_as_unproven(self) -> None:
        """Gamma may have been this job's target before, and 1001 a restore point there."""
        before = dataset(snap(1), snap(2), snap(4), job=str(JOB))
        other = on_other([pair(dataset(snap(3)), before)])
        assert decide_unproven(replace(WAY, known=PROVEN.sets), before, "").snapshots == (snap(4),)
        assert decide_unproven(replace(WAY, known=other.sets), before, "").snapshots == ()

    def test_a_set_that_is_taken_since_is_unproven_until_it_is_proven(self) -> None:
        known = on_other([pair(dataset(snap(3)), None)]).sets
        since = replace(known, taken=(*known.taken, 1005))
        assert is_unproven(snap(5), since)
        assert not is_unproven(snap(4), since)

    def test_the_floor_stays_when_the_target_changes_once_more(self) -> None:
        once = on_other([pair(dataset(snap(3)), None)])
        proven = proven_set(once, 1009.0, 1009, [pair(dataset(snap(9)), dataset(snap(9)))])
        again = on_other([pair(dataset(snap(9)), None)], before=replace(proven, sets=replace(proven.sets, taken=())))
        assert again.sets.elsewhere == 1009

    def test_what_it_already_holds_is_claimed(self) -> None:
        """The job was edited back: the source has the snapshot still, and the replica has the marks of the job."""
        replica = dataset(snap(1), snap(2), job=str(JOB))
        claim = on_other([pair(dataset(snap(2), snap(3)), replica)])

        assert (claim.last_sync, claim.last_set, claim.sets.proven) == (1002.0, 1002, 1002)
        assert claim.place is not None
        assert claim.place.held

    def test_what_a_dataset_without_the_marks_holds_is_not(self) -> None:
        assert on_other([pair(dataset(snap(2)), dataset(snap(2)))]).last_sync is None

    def test_the_run_says_what_it_was_and_what_it_is(self) -> None:
        new = TargetPlace("gamma", "10.0.0.13", (TargetStorage("data", "pool", 22),))
        assert described(Sight.ANOTHER, PLACE, new) == (
            "the job's target is pool on gamma (10.0.0.13) now (it was pool on beta (10.0.0.12)): "
            "proofs on the old one count no more"
        )


class TestAPoolThatWasReplaced:
    def test_has_lost_the_copy(self) -> None:
        claim = on_other([pair(dataset(snap(3)), None)], Sight.REPLACED)

        assert claim.last_sync is None
        assert claim.place is not None
        assert claim.place.held, "there was a copy, so it is lost and no first copy"

    def test_has_lost_none_where_there_was_none_yet(self) -> None:
        fresh = replace(PROVEN, last_sync=None, last_set=None, place=replace(PLACE, held=False))
        claim = on_other([pair(dataset(snap(3)), None)], Sight.REPLACED, before=fresh)

        assert claim.place is not None
        assert not claim.place.held

    def test_is_named_in_one_sentence(self) -> None:
        new = TargetPlace("beta", HERE, (TargetStorage("data", "pool", 22),))
        assert described(Sight.REPLACED, PLACE, new) == (
            "'pool' on beta is not the dataset in which the last set was proven: its pool was replaced"
        )


def test_a_claim_that_falls_keeps_its_place_so_that_the_loss_is_one_of_this_target() -> None:
    assert allowed_claim(PROVEN, None).place == PLACE


def test_a_proof_moves_to_the_place_where_it_was_made() -> None:
    new = replace(PLACE, address="10.0.0.99", held=False)
    assert at_place(PROVEN, new).place == replace(new, held=True)
    assert at_place(Synced(place=PLACE), new).place == PLACE
