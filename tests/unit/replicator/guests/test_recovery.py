"""From which replicas a guest may go on: whole, unused, of one moment, and the former owner's."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest

from replicator.errors import ConfigError, DivergedError, EncryptionError, SupersededError, TargetActiveError
from replicator.guests.recovery import highest_epoch, plan_recovery, refuse_taken, volumes_of
from replicator.ids import GroupName
from replicator.models import Guest, JobId, Storage, Volume
from replicator.replication.restore_points import Replicas
from replicator.zfs.model import Dataset, Snapshot
from replicator.zfs.snapshot_names import snapshot_name

JOB = JobId(100, 0)
WEB, STORAGES = Guest(100, "web", "alpha"), [Storage("tank", "tank")]
OLD, NEW = 1_800_000_000, 1_800_000_900


def replica(name: str, *times: int, **facts: Any) -> Dataset:
    """A replica with sets of these times."""
    snapshots = tuple(
        Snapshot(snapshot_name(JOB, at), guid=hash((name, at)), createtxg=at, creation=at) for at in times
    )
    known: dict[str, Any] = {"readonly": True, "written": 0, "job": "100-0", "source": "alpha", "epoch": "1"} | facts
    return Dataset(f"tank/{name}", is_volume=False, guid=hash(name), snapshots=snapshots, **known)


def plan(*replicas: Dataset, **more: Any) -> Any:
    return plan_recovery(JOB, "alpha", "beta", Replicas({each.name: each for each in replicas}), **more)


def test_the_newest_set_that_all_have_is_taken_parents_first() -> None:
    found = plan(replica("b", OLD, NEW), replica("a/child", NEW), replica("a", OLD, NEW))

    assert found.set_time == NEW
    assert [each.name for each in found.replicas] == ["tank/a", "tank/a/child", "tank/b"]


@pytest.mark.parametrize(
    "other",
    [replica("gone", OLD), replica("none"), replica("cut", token="1-abc")],
    ids=["left behind", "none", "cut off"],
)
def test_a_volume_that_would_be_left_behind_refuses_until_a_person_gives_it_up(other: Dataset) -> None:
    whole = replica("a", NEW - 60, NEW)

    with pytest.raises(ConfigError, match=f"'{other.name}' on beta cannot be taken with the others") as caught:
        plan(whole, other)

    assert f"--without {other.name}" in caught.value.advice
    assert [each.name for each in plan(whole, other, without=[other.name]).replicas] == ["tank/a"]


def test_a_listed_volume_without_a_replica_refuses_too() -> None:
    with pytest.raises(ConfigError, match="'tank/b' on beta cannot be taken"):
        plan(replica("a", NEW), wanted=["tank/a", "tank/b"])


def test_the_replica_of_a_volume_that_is_gone_refuses_a_move_with_the_command_that_a_move_has() -> None:
    gone, names = replica("gone", OLD), frozenset(["tank/a"])

    with pytest.raises(ConfigError, match="The volume of 'tank/gone' on beta is gone") as caught:
        plan_recovery(JOB, "alpha", "beta", Replicas({each.name: each for each in (replica("a", NEW), gone)}, names))

    assert "zsr vanished destroy 100-0 tank/gone" in caught.value.advice


def test_replicas_of_another_source_do_not_count() -> None:
    found = plan(replica("a", OLD), replica("other", NEW, source="gamma"))

    assert found.set_time == OLD
    assert [each.name for each in found.replicas] == ["tank/a"]


def test_a_volume_that_is_ahead_refuses_with_the_command_that_takes_all_back() -> None:
    with pytest.raises(DivergedError, match="'tank/a' on beta has a newer set than the other volumes") as caught:
        plan(replica("a", OLD, NEW), replica("b", OLD))

    assert f"zsr guest recover 100 --restore-point {OLD}" in caught.value.advice


@pytest.mark.parametrize(
    ("facts", "error", "says"),
    [
        ({"readonly": False}, TargetActiveError, "is writable"),
        ({"written": 512}, TargetActiveError, "is written to"),
        ({"key_loaded": False, "encryption_root": "tank/a"}, EncryptionError, "The key of 'tank/a'"),
    ],
)
def test_one_that_is_not_fit_refuses_all(facts: dict[str, Any], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        plan(replica("a", NEW, **facts), replica("b", NEW))


@pytest.mark.parametrize(
    ("replicas", "says"),
    [
        ((), "No replica of guest 100 from alpha is on beta"),
        ((replica("a", OLD, source="gamma"),), "from alpha is on beta. There are some from gamma"),
        ((replica("a", OLD), replica("b", NEW)), "No set of job 100-0 is whole on beta"),
    ],
)
def test_where_nothing_is_whole_there_is_nothing_to_recover_from(replicas: tuple[Dataset, ...], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        plan(*replicas)


def seen(node: str, **facts: Any) -> dict[str, Any]:
    """What two nodes answer; one has a volume of the guest with these facts, the other one does not answer."""
    each = replica("vm-100-disk-0", OLD, **facts)
    return {node: {each.name: each, "tank/x": replica("x", job="200-0", epoch="9")}, "delta": ConfigError("It is off.")}


@pytest.mark.parametrize(
    ("facts", "taken"),
    [
        ({"owner": "alpha", "epoch": "1"}, False),
        ({"owner": "alpha", "epoch": "6"}, False),
        ({"owner": "gamma", "epoch": "1"}, False),
        ({"owner": "gamma", "epoch": "2"}, True),
        ({"owner": "gamma", "epoch": "1", "readonly": False}, True),
        ({"owner": "gamma", "epoch": "many"}, True),
        ({"owner": "gamma", "epoch": "2", "job": None}, True),
        ({"owner": None, "epoch": None}, False),
    ],
)
def test_a_guest_that_another_node_has_taken_is_not_taken_again(facts: dict[str, Any], taken: bool) -> None:
    with pytest.raises(SupersededError, match="Guest 100 may have been taken") if taken else nullcontext():
        refuse_taken(WEB, STORAGES, "alpha", "beta", seen("gamma", **facts))


def test_what_this_node_has_taken_itself_may_be_finished() -> None:
    ours = seen("beta", owner="beta", epoch="2", readonly=False)
    refuse_taken(replace(WEB, epoch=2), STORAGES, "alpha", "beta", ours)


def test_a_claim_refuses_another_recovery_until_the_record_has_its_epoch() -> None:
    with pytest.raises(SupersededError, match="A recovery of guest 100 was begun on gamma"):
        refuse_taken(WEB, STORAGES, "alpha", "beta", seen("gamma", owner="alpha", epoch="2-claimed"))
    refuse_taken(replace(WEB, epoch=2), STORAGES, "alpha", "beta", seen("gamma", owner="alpha", epoch="2-claimed"))


@pytest.mark.parametrize(("known", "epoch", "expected"), [(1, "1", 1), (3, "2", 3), (1, "7", 7), (1, "many", 1)])
def test_the_highest_epoch_is_that_of_the_store_or_of_any_volume_anywhere(
    known: int, epoch: str, expected: int
) -> None:
    assert highest_epoch(replace(WEB, epoch=known), STORAGES, seen("gamma", epoch=epoch)) == expected


HOME = GroupName("home")
LISTED, LEFT_OUT = Volume("tank", "users"), Volume("tank", "vm-100-disk-9")


@pytest.mark.parametrize(
    ("guest", "facts", "is_its"),
    [
        (WEB, {"name": "vm-100-disk-0"}, True),
        (WEB, {"name": "vm-1000-disk-0"}, False),
        (WEB, {"name": "users", "job": "100-0"}, True),
        (WEB, {"name": "vm-100-disk-0", "job": "home-0"}, False),
        (WEB, {"name": "vm-100-disk-9"}, False),
        (WEB, {"name": "vm-100-disk-9", "job": "100-0"}, True),
        (replace(WEB, id=HOME, volumes=(LISTED,)), {"name": "users"}, True),
        (replace(WEB, id=HOME, volumes=(LISTED,)), {"name": "users2"}, False),
        (replace(WEB, id=HOME, volumes=(LISTED,)), {"name": "users", "job": "home_0-0"}, False),
        (replace(WEB, id=HOME, volumes=(LISTED,)), {"name": "x", "job": "home-0"}, True),
    ],
)
def test_what_is_a_guests_on_a_node_is_marked_listed_or_named_and_no_others_replica(
    guest: Guest, facts: dict[str, Any], is_its: bool
) -> None:
    dataset = replica(facts["name"], OLD, job=facts.get("job"))
    found = volumes_of(replace(guest, excluded=frozenset([LEFT_OUT])), STORAGES, "beta", {dataset.name: dataset})
    assert ([*found] == [dataset]) is is_its


def test_what_was_shown_is_the_same_only_with_the_same_replicas_and_set() -> None:
    shown = plan(replica("a", OLD, NEW))

    assert plan(replica("a", OLD, NEW)).identity == shown.identity
    assert plan(replica("a", OLD, NEW, NEW + 60)).identity != shown.identity
    assert plan(replace(replica("a", OLD, NEW), guid=1)).identity != shown.identity
