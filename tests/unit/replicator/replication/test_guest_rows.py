"""A run reads the rows of its own guest, whatever else lies on the storage; it overlooks none of them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicator.errors import StorageMissingError
from replicator.models import Guest, Storage, Vanished, Volume
from replicator.replication.guest_rows import guest_rows, is_of_guest, remembered_names
from replicator.replication.restore_points import datasets_on
from replicator.zfs.client import ZfsClient
from replicator.zfs.model import Dataset
from tests.support.listed_node import ListedNode
from tests.support.volumes import dataset, snap

PATH = "pool/data"
STORAGE = Storage("ssd", PATH)
GUEST = Guest(100, "web", "alpha")
BY_HAND = Guest(100, "web", "alpha", volumes=(Volume("ssd", "app"), Volume("ssd", "a b/root")))


def there(name: str, points: int = 3, job: str | None = None) -> Dataset:
    """A dataset below the path, with restore points."""
    return dataset(*(snap(number + 1) for number in range(points)), name=f"{PATH}/{name}", job=job)


def others(guests: int, points: int) -> list[Dataset]:
    """The replicas of other guests."""
    return [there(f"vm-{1000 + number}-disk-0", points, f"{1000 + number}-0") for number in range(guests)]


OURS = [
    dataset(name=PATH),
    there("vm-100-disk-0", 100, "100-0"),
    there("subvol-100-disk-1/var", job="100-0"),
    there("subvol-100-disk-1", job="100-0"),
    there("zsr-diverged", 0),
    there("zsr-diverged/vm-100-disk-0-1700000000", job="100-0"),
]


async def rows_of(node: ListedNode, guest: Guest = GUEST, names: list[str] | None = None) -> dict[str, Dataset]:
    client = cast(ZfsClient, node)
    found = await guest_rows(client, PATH, is_of_guest(guest, STORAGE, PATH), names=names)
    return dict(found.datasets)


SEEDS = remembered_names(STORAGE, PATH, GUEST, ["ssd:vm-100-disk-0", "ssd:subvol-100-disk-1"], ())


class TestARun:
    @pytest.mark.parametrize("names", [None, SEEDS, [f"{PATH}/gone"]], ids=["nothing", "all", "what is gone"])
    async def test_sees_all_of_its_guest_with_their_snapshots_whatever_it_remembers(
        self, names: list[str] | None
    ) -> None:
        found = await rows_of(ListedNode.of([*OURS, *others(20, 10)]), names=names)
        assert {name: each for name, each in found.items() if not name.startswith(f"{PATH}/vm-1")} | {
            OURS[1].name: found[OURS[1].name]
        } == {each.name: each for each in OURS}

    async def test_reads_no_snapshots_of_others_and_one_row_of_each(self) -> None:
        rows = {}
        for points in (0, 100):
            node = ListedNode.of([*OURS, *others(1000, points)])
            await rows_of(node, names=SEEDS)
            rows[points] = node.rows
        assert rows[0] == rows[100] < 1000 + 200

    async def test_that_finds_everything_where_it_was_needs_one_command(self) -> None:
        usual = [each for each in OURS if "/subvol" not in each.name and "diverged" not in each.name]
        node = ListedNode.of([*usual, *others(10, 10)])
        await rows_of(node, names=SEEDS)
        assert node.commands == 1

    async def test_that_is_in_doubt_needs_two(self) -> None:
        node = ListedNode.of([*OURS, *others(10, 10)])
        await rows_of(node)
        assert node.commands == 2

    async def test_sees_volumes_that_are_listed_by_hand_at_any_depth(self) -> None:
        node = ListedNode.of([dataset(name=PATH), there("app"), there("a b", 0), there("a b/root")])
        for names in (None, remembered_names(STORAGE, PATH, BY_HAND, (), ())):
            found = await rows_of(node, BY_HAND, names)
            assert [len(found[f"{PATH}/{name}"].snapshots) for name in ("app", "a b/root")] == [3, 3]

    async def test_sees_a_replica_of_its_guest_that_has_the_name_of_another(self) -> None:
        node = ListedNode.of([dataset(name=PATH), there("vm-777-disk-0", job="100-0")])
        for names in (None, SEEDS):
            assert len((await rows_of(node, names=names))[f"{PATH}/vm-777-disk-0"].snapshots) == 3

    async def test_on_a_zfs_that_lists_one_name_a_command_reads_everything(self) -> None:
        class Old(ListedNode):
            async def features(self) -> SimpleNamespace:
                return SimpleNamespace(list_parsable=False)

            async def inventory(self, path: str, **how: Any) -> Any:
                return await super().inventory(path, **(how | {"also": ()}))

        for names in (None, SEEDS):
            found = await rows_of(Old.of([*OURS, *others(5, 10)]), names=names)
            assert {each.name: found[each.name] for each in OURS} == {each.name: each for each in OURS}

    async def test_of_a_storage_that_is_not_there_says_so(self) -> None:
        with pytest.raises(StorageMissingError):
            await rows_of(ListedNode.of([]), names=SEEDS)

    async def test_goes_on_when_what_it_found_is_destroyed_meanwhile(self) -> None:
        class Fleeting(ListedNode):
            async def inventory(self, path: str, **how: Any) -> Any:
                found = await super().inventory(path, **how)
                self.shown.pop(f"{PATH}/vm-100-disk-0", None)
                return found

        found = await rows_of(Fleeting.of(OURS))
        assert f"{PATH}/vm-100-disk-0" not in found
        assert len(found[f"{PATH}/subvol-100-disk-1"].snapshots) == 3


async def test_what_is_asked_of_a_guest_leaves_out_only_the_snapshots_of_others() -> None:
    node = ListedNode.of([*OURS, *others(20, 10)])
    whole = await datasets_on([STORAGE], cast(ZfsClient, node))
    found = await datasets_on([STORAGE, Storage("same", PATH)], cast(ZfsClient, node), GUEST)

    assert found.keys() == whole.keys()
    assert {each.name: found[each.name] for each in OURS} == {each.name: whole[each.name] for each in OURS}
    assert not any(found[each.name].snapshots for each in others(20, 10))


def test_records_of_vanished_volumes_are_sought_by_name() -> None:
    gone = Vanished(f"{PATH}/a/deep/one", 1, 0.0, 0.0)
    elsewhere = Vanished("other/one", 2, 0.0, 0.0)
    names = remembered_names(STORAGE, PATH, GUEST, ["hdd:vm-100-disk-9"], [gone, elsewhere])
    assert names == [gone.dataset, f"{PATH}/zsr-diverged"]


NAMES = st.sampled_from(
    ["vm-100-disk-0", "vm-1000-disk-0", "subvol-100-disk-1", "subvol-100-disk-1/a", "subvol-100-disk-1/a/b", "app",
     "zsr-diverged", "zsr-diverged/vm-100-disk-0-17", "zsr-diverged/x-17", "x", "x/y"]
)  # fmt: skip


@given(
    shown=st.dictionaries(NAMES, st.sampled_from([None, "100-0", "100-1", "200-0"])),
    remembered=st.lists(NAMES),
)
async def test_whatever_is_there_the_guests_rows_are_those_of_a_whole_listing(
    shown: dict[str, str | None], remembered: list[str]
) -> None:
    whole = {name: there(name, job=job) for name, job in shown.items()}
    for name in list(whole):  # ZFS has no dataset without the one above it
        above = name.rpartition("/")[0]
        while above:
            whole.setdefault(above, there(above))
            above = above.rpartition("/")[0]
    node = ListedNode.of([dataset(name=PATH), *whole.values()])
    wanted = is_of_guest(BY_HAND, STORAGE, PATH)
    expected = {each.name: each for each in node.shown.values() if wanted(each)}
    everywhere = await rows_of(node, BY_HAND)
    assert {name: each for name, each in everywhere.items() if wanted(each)} == expected
    usual = await rows_of(node, BY_HAND, [f"{PATH}/{name}" for name in remembered])
    hidden = {name for name in expected if name not in usual}
    for name in hidden:  # only below what is nobody's, and where nothing is remembered
        assert not wanted(node.shown[name.rpartition("/")[0]])
    assert all(usual[name] == each for name, each in expected.items() if name not in hidden)
