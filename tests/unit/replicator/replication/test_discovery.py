"""Which volumes a guest has, where they are looked for, and how both sides are put together."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import cast

import pytest

from replicator.errors import ConfigError, StorageMissingError, StorageRestrictedError
from replicator.models import Guest, Job, JobId, Storage, Volume
from replicator.replication.discovery import (
    TargetInventory,
    guest_volumes_on,
    pair_volumes,
    selections,
    source_datasets,
    source_inventory,
)
from replicator.zfs.channel_programs import Place
from replicator.zfs.client import ZfsClient
from replicator.zfs.dataset_names import volume_prefixes
from replicator.zfs.model import Dataset, Inventory
from tests.support.volumes import JOB, dataset, snap

SSD = Storage("ssd", "tank/data", paths=(("beta", "pool/data"),))
HDD = Storage("hdd", "slow")
STORAGES = (SSD, HDD)
BY_NAME = Guest(100, "web", "alpha")
DISK = Volume("ssd", "vm-100-disk-0")
LISTED = replace(BY_NAME, volumes=(DISK, Volume("hdd", "a b/root")))
NODES = ("alpha", "beta")
THE_JOB = Job(JOB, "beta")


def inventory(*names: str, job: str | None = None, source: str = "alpha") -> Inventory:
    return Inventory({name: Dataset(name, is_volume=False, guid=1, job=job, source=job and source) for name in names})


HERE = inventory("tank/data", "tank/data/vm-100-disk-0", "tank/data/subvol-100-disk-1", "tank/data/vm-1000-disk-0",
                 "tank/data/vm-101-disk-0", "slow")  # fmt: skip


def names_on(guest: Guest, here: Inventory = HERE) -> list[str]:
    return [volume.name for volume in guest_volumes_on(guest, SSD, here, "tank/data")]


def test_a_guests_volumes_are_the_direct_children_with_its_number() -> None:
    assert names_on(BY_NAME) == ["subvol-100-disk-1", "vm-100-disk-0"]


def test_names_begin_with_a_kind_and_the_whole_number() -> None:
    assert volume_prefixes(100, "p") == ("p/vm-100-", "p/subvol-100-", "p/base-100-", "p/basevol-100-")


def test_an_excluded_volume_is_left_out_however_it_is_found() -> None:
    assert names_on(replace(BY_NAME, excluded=frozenset({DISK}))) == ["subvol-100-disk-1"]
    assert names_on(replace(LISTED, excluded=frozenset({DISK}))) == []


def test_a_volume_of_that_name_on_another_storage_is_not_excluded() -> None:
    other = frozenset({Volume("hdd", "vm-100-disk-0")})
    assert "vm-100-disk-0" in names_on(replace(BY_NAME, excluded=other))


def test_a_list_by_hand_is_all_there_is() -> None:
    assert names_on(LISTED) == ["vm-100-disk-0"]


def test_a_listed_volume_that_does_not_exist_is_named() -> None:
    with pytest.raises(ConfigError, match=r"ssd:vm-100-disk-0 of guest 100 .*'tank/data/vm-100-disk-0'"):
        names_on(LISTED, inventory("tank/data"))


def test_an_excluded_volume_need_not_exist() -> None:
    assert names_on(replace(LISTED, excluded=frozenset({DISK})), inventory("tank/data")) == []


def test_a_selection_looks_by_name_in_every_storage_of_a_pool() -> None:
    second = Storage("fast", "tank/fast")
    found = selections(replace(BY_NAME, excluded=frozenset({DISK})), (SSD, second, HDD), "alpha")
    places = tuple(Place(path, volume_prefixes(100, path)) for path in ("tank/data", "tank/fast"))
    excluded = frozenset({"tank/data/vm-100-disk-0"})
    assert set(found) == {"tank", "slow"}
    assert (found["tank"].places, found["tank"].names, found["tank"].excluded) == (places, (), excluded)


def test_a_selection_by_hand_names_datasets_and_pools_without_any_are_left_out() -> None:
    found = selections(replace(LISTED, excluded=frozenset({DISK})), STORAGES, "alpha")
    assert {pool: each.names for pool, each in found.items()} == {"slow": ("slow/a b/root",)}


def test_a_storage_that_the_node_may_not_use_is_not_looked_at() -> None:
    assert set(selections(BY_NAME, (replace(SSD, nodes=frozenset({"beta"})), HDD), "alpha")) == {"slow"}


def test_datasets_of_a_guest_on_its_own_node() -> None:
    assert source_datasets(BY_NAME, STORAGES, "alpha", HERE) == [
        "tank/data/subvol-100-disk-1",
        "tank/data/vm-100-disk-0",
    ]


def test_both_sides_are_paired_by_the_paths_of_their_nodes() -> None:
    there = TargetInventory({"ssd": inventory("pool/data", "pool/data/vm-100-disk-0"), "hdd": inventory("slow")})
    found = pair_volumes(THE_JOB, BY_NAME, STORAGES, NODES, HERE, there)
    assert [(s.source.name, s.target_name, s.target is not None) for s in found.volumes] == [
        ("tank/data/subvol-100-disk-1", "pool/data/subvol-100-disk-1", False),
        ("tank/data/vm-100-disk-0", "pool/data/vm-100-disk-0", True),
    ]
    assert {s.target_path for s in found.volumes} == {"pool/data"}


def test_the_place_of_a_child_is_no_raw_replica_of_the_job() -> None:
    """Nor has a raw one's key: a new replica there has to be raw as well."""
    rows = {
        "pool/data": dataset(name="pool/data", job=None),
        "pool/data/vm-100-disk-0": dataset(
            name="pool/data/vm-100-disk-0", job=str(JOB), encrypted=True, encryption_root="pool/data/vm-100-disk-0"
        ),
    }
    here = inventory("tank/data/vm-100-disk-0", "tank/data/vm-100-disk-0/child")
    for job, raw in ((THE_JOB, True), (replace(THE_JOB, id=JobId(100, 7)), False)):
        found = pair_volumes(job, BY_NAME, (SSD,), NODES, here, TargetInventory({"ssd": Inventory(rows)}))
        child = next(each for each in found.volumes if each.target_name.endswith("/child"))
        assert child.is_below_raw is raw
        assert child.place is not None
        assert child.place.name == ("pool/data" if raw else "pool/data/vm-100-disk-0")


def test_a_replica_without_a_volume_is_an_orphan_and_neither_a_volumes_replica_nor_what_is_aside_is() -> None:
    mine = inventory("pool/data/vm-100-disk-0", "pool/data/vm-100-disk-7", "pool/data/zsr-diverged/vm-100-disk-0-5",
                     job=str(JOB))  # fmt: skip
    theirs = inventory("pool/data/vm-100-disk-8", job="100-10")
    folder = inventory("pool/data/zsr-diverged")
    there = TargetInventory({"ssd": Inventory({**mine.datasets, **theirs.datasets, **folder.datasets})})
    found = pair_volumes(THE_JOB, BY_NAME, (SSD,), NODES, HERE, there)
    assert [orphan.name for orphan in found.orphans] == ["pool/data/vm-100-disk-7"]
    assert [kept.name for kept in found.diverged] == ["pool/data/zsr-diverged/vm-100-disk-0-5"]


def test_the_replica_of_an_excluded_volume_becomes_an_orphan() -> None:
    there = TargetInventory({"ssd": inventory("pool/data/vm-100-disk-0", job=str(JOB))})
    guest = replace(BY_NAME, excluded=frozenset({DISK}))
    found = pair_volumes(THE_JOB, guest, (SSD,), NODES, HERE, there)
    assert [orphan.name for orphan in found.orphans] == ["pool/data/vm-100-disk-0"]


def test_a_missing_storage_matters_only_if_the_guest_has_volumes_on_it() -> None:
    missing = StorageMissingError("there is no 'x'", node="beta")
    whole = inventory("pool/data")
    assert pair_volumes(
        THE_JOB, BY_NAME, STORAGES, NODES, HERE, TargetInventory({"ssd": whole, "hdd": missing})
    ).volumes
    with pytest.raises(StorageMissingError):
        pair_volumes(THE_JOB, BY_NAME, STORAGES, NODES, HERE, TargetInventory({"ssd": missing, "hdd": whole}))


def test_a_storage_that_the_target_may_not_use_matters_only_if_the_guest_has_volumes_on_it() -> None:
    assert pair_volumes(
        THE_JOB, BY_NAME, STORAGES, NODES, HERE, TargetInventory({"ssd": inventory("pool/data")})
    ).volumes
    with pytest.raises(StorageRestrictedError, match=r"ssd:vm-100-disk-0"):
        pair_volumes(THE_JOB, BY_NAME, STORAGES, NODES, HERE, TargetInventory({"hdd": inventory("slow")}))


def test_a_guest_without_volumes_is_an_error_and_changes_nothing() -> None:
    """Else a mistake in the cluster file would make orphans of all its replicas."""
    there = TargetInventory({"ssd": inventory("pool/data/vm-100-disk-0", job=str(JOB))})
    with pytest.raises(ConfigError, match="no volumes on node alpha"):
        pair_volumes(THE_JOB, BY_NAME, (SSD,), NODES, inventory("tank/data"), there)


def test_what_a_volume_holds_comes_from_the_look() -> None:
    source = dataset(snap(1), name="tank/data/vm-100-disk-0")
    here = Inventory({source.name: source})
    (found,) = pair_volumes(
        THE_JOB, BY_NAME, (SSD,), NODES, here, TargetInventory({"ssd": inventory("pool/data")})
    ).volumes
    assert found.source is source


def test_a_replica_from_another_source_is_no_orphan() -> None:
    theirs = inventory("pool/data/vm-100-disk-7", job=str(JOB), source="omega")
    assert pair_volumes(THE_JOB, BY_NAME, (SSD,), NODES, HERE, TargetInventory({"ssd": theirs})).orphans == ()


def test_a_storage_that_has_the_marks_itself_is_no_orphan() -> None:
    """Whoever set them there meant what lies below; all of it would go."""
    there = TargetInventory({"ssd": inventory("pool/data", job=str(JOB))})
    assert pair_volumes(THE_JOB, BY_NAME, (SSD,), NODES, HERE, there).orphans == ()


@dataclass(frozen=True, slots=True)
class Listings:
    """A node whose listings of paths are given."""

    by_path: Mapping[str, tuple[Dataset, ...]]
    node: str = "alpha"

    async def inventory(self, path: str, *, depth: int, bookmarks: bool, marks_of: str | None = None) -> Inventory:
        assert depth > 0
        assert bookmarks
        return Inventory({each.name: each for each in self.by_path[path]})


class TestStoragesThatOverlap:
    OUTER, INNER = Storage("outer", "tank"), Storage("inner", "tank/data")
    THIN, THICK = Storage("thin", "tank/data"), Storage("thick", "tank/data")
    ONE_PLACE = (
        Storage("ssd", "tank/data", paths=(("beta", "backup"),)),
        Storage("hdd", "slow", paths=(("beta", "backup"),)),
    )

    def test_a_replica_in_the_inner_one_is_no_orphan_of_the_outer_one(self) -> None:
        replicas = inventory("tank/data/vm-100-disk-0", "tank/data/subvol-100-disk-1", job=str(JOB))
        there = TargetInventory({"outer": replicas, "inner": replicas})
        found = pair_volumes(THE_JOB, BY_NAME, (self.OUTER, self.INNER), NODES, HERE, there)
        assert [str(s.volume) for s in found.volumes] == ["inner:subvol-100-disk-1", "inner:vm-100-disk-0"]
        assert found.orphans == ()

    @pytest.mark.parametrize("storages", [(OUTER, INNER), (INNER, OUTER)])
    def test_a_dataset_is_taken_from_the_listing_of_the_storage_that_owns_it(
        self, storages: tuple[Storage, ...]
    ) -> None:
        whole = dataset(snap(1), name="tank/data/vm-100-disk-0")
        shallow = replace(whole, snapshots=())
        client = Listings(
            {"tank": (dataset(name="tank/data"), shallow), "tank/data": (dataset(name="tank/data"), whole)}
        )
        found = asyncio.run(source_inventory(BY_NAME, storages, cast(ZfsClient, client)))
        assert found.get(whole.name) == whole

    @pytest.mark.parametrize("names", [("outer", "inner"), ("inner", "outer")])
    def test_a_replica_is_taken_from_the_listing_of_the_storage_that_owns_it(self, names: tuple[str, ...]) -> None:
        whole = replace(dataset(snap(1), name="tank/data/vm-100-disk-7"), job=str(JOB), source="alpha")
        shallow = Inventory({whole.name: replace(whole, snapshots=())})
        listings = {"outer": shallow, "inner": Inventory({whole.name: whole})}
        there = TargetInventory({name: listings[name] for name in names})
        found = pair_volumes(THE_JOB, BY_NAME, (self.OUTER, self.INNER), NODES, HERE, there)
        assert found.orphans == (whole,)

    def test_a_volume_below_a_path_with_two_names_is_the_first_ones(self) -> None:
        there = TargetInventory({"thin": inventory("tank/data"), "thick": inventory("tank/data")})
        found = pair_volumes(THE_JOB, BY_NAME, (self.THIN, self.THICK), NODES, HERE, there)
        assert [str(s.volume) for s in found.volumes] == ["thin:subvol-100-disk-1", "thin:vm-100-disk-0"]
        (selection,) = selections(BY_NAME, (self.THIN, self.THICK), "alpha").values()
        assert selection.places == (Place("tank/data", volume_prefixes(100, "tank/data")),)

    def test_a_volume_below_a_path_with_two_names_is_the_one_that_the_target_may_use(self) -> None:
        thin = replace(self.THIN, nodes=frozenset({"alpha"}))
        found = pair_volumes(
            THE_JOB, BY_NAME, (thin, self.THICK), NODES, HERE, TargetInventory({"thick": inventory("tank/data")})
        )
        assert {s.volume.storage for s in found.volumes} == {"thick"}

    def test_an_exclusion_holds_under_each_name_of_a_path(self) -> None:
        guest = replace(BY_NAME, excluded=frozenset({Volume("thick", "vm-100-disk-0")}))
        there = TargetInventory({"thin": inventory("tank/data"), "thick": inventory("tank/data")})
        found = pair_volumes(THE_JOB, guest, (self.THIN, self.THICK), NODES, HERE, there)
        assert [str(s.volume) for s in found.volumes] == ["thin:subvol-100-disk-1"]

    def test_two_with_one_path_on_the_target_see_each_others_replicas_as_what_they_are(self) -> None:
        here = Inventory({**HERE.datasets, **inventory("slow/vm-100-disk-9").datasets})
        names = ("backup/vm-100-disk-0", "backup/subvol-100-disk-1", "backup/vm-100-disk-9")
        there = TargetInventory({"ssd": inventory(*names, job=str(JOB)), "hdd": inventory(*names, job=str(JOB))})
        found = pair_volumes(THE_JOB, BY_NAME, self.ONE_PLACE, NODES, here, there)
        assert {s.target_name for s in found.volumes} == set(names)
        assert found.orphans == ()

    def test_two_volumes_that_would_be_one_replica_are_an_error_that_names_both(self) -> None:
        here = Inventory({**HERE.datasets, **inventory("slow/vm-100-disk-0").datasets})
        there = TargetInventory({"ssd": inventory("backup"), "hdd": inventory("backup")})
        with pytest.raises(ConfigError, match=r"ssd:vm-100-disk-0 and hdd:vm-100-disk-0 .*'backup/vm-100-disk-0'"):
            pair_volumes(THE_JOB, BY_NAME, self.ONE_PLACE, NODES, here, there)


def test_a_volume_whose_snapshots_would_have_too_long_a_name_is_refused_before_anything_is_done() -> None:
    name = f"tank/data/vm-100-{'x' * 208}"
    assert len(name) == 225
    here = inventory("tank/data", name)
    there = TargetInventory({"ssd": inventory("pool/data"), "hdd": inventory("slow")})
    with pytest.raises(ConfigError, match="is 1 characters too long for zsr's snapshots"):
        pair_volumes(THE_JOB, BY_NAME, STORAGES, NODES, here, there)
