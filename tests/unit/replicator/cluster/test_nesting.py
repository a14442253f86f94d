"""Volumes that one guest lists below those of another."""

from __future__ import annotations

from replicator.cluster.nesting import with_others
from replicator.models import Guest, GuestId, Storage, Volume

STORAGES = {"ssd": Storage("ssd", "tank/data"), "outer": Storage("outer", "tank")}


def others(*guests: Guest) -> dict[GuestId, set[str]]:
    return {
        number: set(map(str, each.others)) for number, each in with_others({g.id: g for g in guests}, STORAGES).items()
    }


def guest(number: int, *names: str, node: str = "alpha") -> Guest:
    return Guest(number, str(number), node, volumes=tuple(Volume(*name.split(":")) for name in names))


def test_a_volume_below_that_of_another_guest_is_not_the_others() -> None:
    assert others(guest(100, "ssd:a"), guest(101, "ssd:a/b", "ssd:c")) == {100: {"ssd:a/b"}, 101: set()}


def test_a_guest_elsewhere_counts_and_so_does_a_storage_around() -> None:
    assert others(guest(100, "outer:data/a"), guest(101, "ssd:a/b", node="beta")) == {100: {"ssd:a/b"}, 101: set()}


def test_a_volume_below_one_that_is_found_by_its_name() -> None:
    assert others(guest(100), guest(101, "ssd:subvol-100-disk-0/x", "ssd:subvol-1000-disk-0/x")) == {
        100: {"ssd:subvol-100-disk-0/x"},
        101: set(),
    }


def test_what_both_mention_is_left_to_each() -> None:
    assert others(guest(100, "ssd:a", "ssd:a/b"), guest(101, "ssd:a/b")) == {100: set(), 101: set()}
