"""Which datasets below a guest's volumes are volumes of it, and in which order they come."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from replicator.models import Guest, Job, Storage, Volume
from replicator.replication.discovery import TargetInventory, guest_volumes, pair_volumes, selections
from replicator.zfs.model import Dataset, Inventory
from tests.support.volumes import JOB

SSD = Storage("ssd", "tank/data", paths=(("beta", "pool/data"),))
NODES = ("alpha", "beta")
WEB = Guest(100, "web", "alpha")
TOP = "subvol-100-disk-0"


def inventory(*names: str, path: str = "tank/data", **more: str) -> Inventory:
    found = [Dataset(f"{path}/{name}", is_volume=False, guid=1, job=more.get(name)) for name in names]
    return Inventory({each.name: each for each in (Dataset(path, is_volume=False, guid=1), *found)})


def volumes(guest: Guest, *names: str, storages: tuple[Storage, ...] = (SSD,), **jobs: str) -> list[str]:
    found = guest_volumes(guest, storages, "alpha", inventory(*names, **jobs))
    return [str(volume) for volume, _ in found]


def listed(*names: str, **more: Any) -> Guest:
    return replace(WEB, volumes=tuple(Volume("ssd", name) for name in names), **more)


def test_all_that_lies_below_a_volume_travels_at_any_depth_a_parent_first() -> None:
    deep = "/".join([TOP, *"abcdefghij"])
    names = [
        deep.rpartition("/")[0],
        deep,
        f"{TOP}/a",
        TOP,
        *(f"{TOP}/a/" + "/".join("bcdefghi"[:n]) for n in range(1, 8)),
    ]
    found = volumes(WEB, *names)
    assert found[:2] == [f"ssd:{TOP}", f"ssd:{TOP}/a"]
    assert found[-1] == f"ssd:{deep}"
    assert len(found) == len(set(names))


def test_a_child_is_in_the_storage_of_its_parent_also_where_another_one_lies_around_it() -> None:
    outer = Storage("outer", "tank")
    guest = replace(WEB, volumes=(Volume("outer", "data/a"),))
    assert volumes(guest, "a", "a/b", storages=(outer, SSD)) == ["outer:data/a", "outer:data/a/b"]


@pytest.mark.parametrize("order", [("a", "a/b"), ("a/b", "a")])
def test_a_tree_may_be_listed_in_any_order(order: tuple[str, str]) -> None:
    there = TargetInventory({"ssd": inventory(path="pool/data")})
    found = pair_volumes(Job(JOB, "beta"), listed(*order), (SSD,), NODES, inventory("a", "a/b"), there)
    assert [pair.target_name for pair in found.volumes] == ["pool/data/a", "pool/data/a/b"]


def test_a_guest_may_leave_out_all_children_or_those_of_one_volume() -> None:
    names = ("a", "a/x", "b", "b/y")
    assert volumes(listed("a", "b", children=False), *names) == ["ssd:a", "ssd:b"]
    one = replace(listed("a", "b"), children_of=((Volume("ssd", "a"), False),))
    assert volumes(one, *names) == ["ssd:a", "ssd:b", "ssd:b/y"]
    other = replace(listed("a", "b", children=False), children_of=((Volume("ssd", "a"), True),))
    assert volumes(other, *names) == ["ssd:a", "ssd:b", "ssd:a/x"]
    assert volumes(replace(WEB, children=False), TOP, f"{TOP}/x") == [f"ssd:{TOP}"]


def test_the_nearest_mention_decides() -> None:
    names = ("a", "a/b", "a/b/c", "a/b/c/d", "a/e")
    guest = replace(listed("a", "a/b/c"), excluded=frozenset({Volume("ssd", "a/b")}))
    assert sorted(volumes(guest, *names)) == ["ssd:a", "ssd:a/b/c", "ssd:a/b/c/d", "ssd:a/e"]


def test_a_volume_that_is_left_out_leaves_out_its_children_unless_they_are_wanted() -> None:
    out = Volume("ssd", TOP)
    without = replace(WEB, excluded=frozenset({out}))
    names = (TOP, f"{TOP}/x", "vm-100-disk-1")
    assert volumes(without, *names) == ["ssd:vm-100-disk-1"]
    assert volumes(replace(without, children_of=((out, True),)), *names) == ["ssd:vm-100-disk-1", f"ssd:{TOP}/x"]


def test_what_another_guest_has_is_not_a_child() -> None:
    names = ("a", "a/b", "a/b/c", "a/d")
    assert volumes(replace(listed("a"), others=frozenset({Volume("ssd", "a/b")})), *names) == ["ssd:a", "ssd:a/d"]
    marked = inventory("a", "a/b", "a/b/c", "a/d", **{"a/b": "101-0", "a/d": "100-0"})
    assert [str(volume) for volume, _ in guest_volumes(listed("a"), (SSD,), "alpha", marked)] == ["ssd:a", "ssd:a/d"]


def test_the_path_of_a_storage_and_what_is_kept_aside_are_no_children() -> None:
    inner = Storage("inner", "tank/data/a/in")
    names = ("a", "a/in", "a/in/x", "a/zsr-diverged", "a/zsr-diverged/x-5", "a/b")
    assert volumes(listed("a"), *names, storages=(SSD, inner)) == ["ssd:a", "ssd:a/b"]


def test_a_volume_that_only_begins_with_the_name_of_another_is_no_child_of_it() -> None:
    assert volumes(listed("a"), "a", "a-b", "ab", "a/b") == ["ssd:a", "ssd:a/b"]


def test_the_program_gets_the_same_rule() -> None:
    guest = replace(listed("a", "a/b/c"), excluded=frozenset({Volume("ssd", "a/b")}))
    inner = Storage("inner", "tank/data/a/in")
    (found,) = selections(guest, (SSD, inner), "alpha").values()
    assert found.branches.roots == ("tank/data/a", "tank/data/a/b/c")
    assert found.branches.closed == {"tank/data", "tank/data/a/b", "tank/data/a/in"}
    assert not found.branches.by_name
