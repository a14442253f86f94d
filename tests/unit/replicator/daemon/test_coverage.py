"""Which volumes of a node's guests no job replicates, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import pytest

from replicator.api.coverage import Gap, GuestCoverage, UncoveredVolume
from replicator.cluster.model import Cluster
from replicator.daemon.coverage import guest_coverage, in_words, unknown_guests
from replicator.daemon.local_inventory import take_inventory
from replicator.errors import StorageMissingError, ZsrError
from replicator.ids import GroupName
from replicator.job_choices import Removal
from replicator.models import Guest, GuestId, Job, JobId, Storage, Volume
from replicator.zfs.client import ZfsClient
from replicator.zfs.model import Dataset, Inventory, Snapshot

STORAGES = {
    "local": Storage("local", "rpool/data"),
    "fast": Storage("fast", "fast"),
    "barred": Storage("barred", "slow", nodes=frozenset({"beta"})),
}
JOB = Job(JobId(100, 0), "beta")


def inventories(*names: str, source: str | None = None) -> dict[str, Inventory]:
    """What is listed of these datasets, by the path of the storage."""
    datasets = {name: Dataset(name, is_volume=True, guid=1, source=source) for name in names}
    return {
        path: Inventory({name: each for name, each in datasets.items() if name.startswith(path)})
        for path in ("rpool/data", "fast", "slow")
    }


def of(guest: Guest, *names: str, jobs: tuple[Job, ...] = (JOB,), source: str | None = None) -> list[tuple[str, Gap]]:
    """What no job replicates of a guest."""
    cluster = Cluster(storages=STORAGES, guests={guest.id: guest}, jobs={job.id: job for job in jobs})
    found = guest_coverage(cluster, "alpha", inventories(*names, source=source))[guest.id]
    return [(each.dataset, each.reason) for each in found.uncovered]


WEB = Guest(100, "web", "alpha")


def test_a_guest_without_lists_has_all_its_volumes_covered_wherever_it_may_have_them() -> None:
    assert of(WEB, "rpool/data/vm-100-disk-0", "fast/subvol-100-disk-1", "fast/vm-1000-disk-0", "fast/other") == []


def test_a_volume_that_the_list_leaves_out_on_a_storage_of_the_guest() -> None:
    listed = replace(WEB, volumes=(Volume("local", "vm-100-disk-0"),))
    assert of(listed, "rpool/data/vm-100-disk-0", "rpool/data/vm-100-disk-1") == [
        ("rpool/data/vm-100-disk-1", Gap.NOT_LISTED)
    ]


def test_a_volume_on_a_storage_that_the_guest_or_the_nodes_of_the_storage_leave_out() -> None:
    restricted = replace(WEB, storages=("local",))
    assert of(restricted, "rpool/data/vm-100-disk-0", "fast/vm-100-disk-1") == [("fast/vm-100-disk-1", Gap.STORAGE)]
    assert of(WEB, "rpool/data/vm-100-disk-0", "slow/base-100-disk-1") == [("slow/base-100-disk-1", Gap.STORAGE)]


def test_a_list_whose_only_storage_this_node_may_not_use_covers_nothing() -> None:
    barred = replace(WEB, volumes=(Volume("barred", "vm-100-disk-0"),))
    assert of(barred, "slow/vm-100-disk-0", "fast/vm-100-disk-1") == [
        ("fast/vm-100-disk-1", Gap.STORAGE),
        ("slow/vm-100-disk-0", Gap.STORAGE),
    ]


def test_what_the_settings_exclude_is_named_if_it_exists() -> None:
    excluded = frozenset({Volume("local", "vm-100-disk-1"), Volume("local", "vm-100-disk-8")})
    found = of(replace(WEB, excluded=excluded), "rpool/data/vm-100-disk-0", "rpool/data/vm-100-disk-1")
    assert found == [("rpool/data/vm-100-disk-1", Gap.EXCLUDED)]


TREE = ("fast/subvol-100-disk-0", "fast/subvol-100-disk-0/home", "fast/subvol-100-disk-0/home/me")


def test_the_children_of_a_filesystem_are_covered() -> None:
    assert of(WEB, *TREE) == []
    assert of(replace(WEB, volumes=(Volume("fast", "subvol-100-disk-0"),)), *TREE) == []


def test_children_that_the_settings_leave_out_are_named_unless_they_are_listed() -> None:
    listed = (Volume("fast", "subvol-100-disk-0"), Volume("fast", "subvol-100-disk-0/home"))
    alone = replace(WEB, children=False)
    assert of(alone, *TREE) == [(TREE[1], Gap.CHILD), (TREE[2], Gap.CHILD)]
    assert of(replace(alone, volumes=listed), *TREE) == [(TREE[2], Gap.CHILD)]
    assert of(replace(WEB, volumes=listed, children_of=((listed[0], False),)), *TREE) == []


def test_what_lies_below_an_excluded_child_is_left_out_with_it() -> None:
    without = replace(WEB, excluded=frozenset({Volume("fast", "subvol-100-disk-0/home")}))
    assert of(without, *TREE) == [(TREE[1], Gap.EXCLUDED)]


def test_what_a_setting_leaves_out_is_not_forgotten() -> None:
    uncovered = tuple(UncoveredVolume("fast/x", reason) for reason in Gap)
    assert [each.reason for each in GuestCoverage("web", (), uncovered).forgotten] == [Gap.NOT_LISTED, Gap.STORAGE]


def test_a_replica_from_another_node_and_what_is_kept_aside_are_no_volumes_of_the_guest() -> None:
    restricted = replace(WEB, storages=("local",))
    assert of(restricted, "fast/vm-100-disk-1", source="beta") == []
    assert of(restricted, "fast/vm-100-disk-1", source="alpha") == [("fast/vm-100-disk-1", Gap.STORAGE)]
    assert of(restricted, "fast/zsr-diverged/vm-100-disk-1-90") == []


def test_of_a_guest_without_a_job_nothing_is_listed_and_of_others_nothing_is_said() -> None:
    away = Guest(101, "mail", "beta")
    leaving = replace(JOB, removal=Removal.FULL)
    guests: dict[GuestId, Guest] = {100: WEB, 101: away}
    cluster = Cluster(storages=STORAGES, guests=guests, jobs={JOB.id: leaving})
    found = guest_coverage(cluster, "alpha", inventories("slow/vm-100-disk-0"))
    assert found == {100: GuestCoverage("web", ())}


def test_a_guest_that_the_cluster_file_does_not_have_is_unknown() -> None:
    cluster = Cluster(storages=STORAGES, guests={100: WEB, 101: Guest(101, "mail", "beta")})
    names = (
        "rpool/data/vm-250-disk-0",
        "fast/subvol-251-disk-0",
        "fast/vm-100-disk-0",
        "fast/vm-101-disk-0",
        "fast/iso",
    )
    assert unknown_guests(cluster, "alpha", inventories(*names)) == (250, 251)
    assert unknown_guests(cluster, "alpha", inventories(*names, source="beta")) == ()


def test_a_volume_that_a_group_lists_makes_no_unknown_guest_of_the_number_in_its_name() -> None:
    group = Guest(GroupName("home"), "home", "alpha", volumes=(Volume("local", "vm-250-disk-0"),))
    storages = {"local": Storage("local", "rpool/data")}
    cluster = Cluster(storages=storages, guests={group.id: group})
    found = inventories("rpool/data/vm-250-disk-0", "rpool/data/vm-251-disk-0")
    assert unknown_guests(cluster, "alpha", found) == (251,)


@pytest.mark.parametrize(("owner", "expected"), [(None, ()), ("beta", ()), ("alpha", (300,))])
def test_a_guest_that_another_program_replicates_is_not_unknown_but_one_that_was_this_nodes_is(
    owner: str | None, expected: tuple[int, ...]
) -> None:
    taken = (Snapshot("__replicate_300-0_1795427104__", guid=1, createtxg=1, creation=0),)
    volume = Dataset("fast/vm-300-disk-0", is_volume=True, guid=1, snapshots=taken, owner=owner)
    found = {"fast": Inventory({volume.name: volume})}
    assert unknown_guests(Cluster(storages=STORAGES), "alpha", found) == expected


def test_the_words_name_what_is_forgotten_and_not_what_is_excluded() -> None:
    left = (
        UncoveredVolume("t/a", Gap.NOT_LISTED),
        UncoveredVolume("t/b", Gap.STORAGE),
        UncoveredVolume("t/c", Gap.EXCLUDED),
    )
    known: dict[GuestId, GuestCoverage] = {
        100: GuestCoverage("web", (JOB.id,), left),
        101: GuestCoverage("101", (JOB.id,), left[2:]),
    }
    assert list(in_words(known)) == ["guest 100 (web): 2 volumes are not replicated (not-listed: t/a; storage: t/b)"]


class Client:
    """A node's ZFS that lists what it is given, and has one storage that cannot be read."""

    node = "alpha"

    def __init__(self, listed: dict[str, Inventory | ZsrError]) -> None:
        self.listed = listed

    async def inventory(self, path: str, *, depth: int, bookmarks: bool = False) -> Inventory:
        found = self.listed.get(path, StorageMissingError("none", node="alpha"))
        if isinstance(found, ZsrError):
            raise found
        return found

    async def space(self, pools: Sequence[str]) -> dict[str, tuple[int, int]]:
        return {}


async def test_a_look_at_the_node_lists_the_storages_that_it_may_not_use_as_well() -> None:
    cluster = Cluster(storages=STORAGES, guests={100: WEB}, jobs={JOB.id: JOB})
    listed = inventories("rpool/data/vm-100-disk-0", "slow/vm-100-disk-1")
    found = await take_inventory(cluster, (JOB,), cast(ZfsClient, Client({**listed})))
    assert found.coverage[100].uncovered == (UncoveredVolume("slow/vm-100-disk-1", Gap.STORAGE),)
    assert found.unreplicated == {JOB.id: None}

    for error in (StorageMissingError("none", node="alpha"), ZsrError("The pool is suspended.")):
        found = await take_inventory(cluster, (JOB,), cast(ZfsClient, Client({**listed, "slow": error})))
        assert (found.coverage[100].uncovered, found.problems) == ((), ())


async def test_a_look_at_a_node_whose_cluster_has_no_guest_left_reads_its_storages() -> None:
    cluster = Cluster(storages=STORAGES, guests={}, jobs={JOB.id: JOB})
    found = await take_inventory(cluster, (JOB,), cast(ZfsClient, Client({**inventories("rpool/data/vm-100-disk-0")})))
    assert (found.coverage, found.problems, found.unreplicated) == ({}, (), {})
