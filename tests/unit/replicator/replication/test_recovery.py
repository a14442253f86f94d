"""From which replicas a guest may go on: whole, unused, of one moment, and the former owner's."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from replicator.errors import ConfigError, DivergedError, EncryptionError, TargetActiveError
from replicator.models import JobId
from replicator.replication.recovery import next_epoch, plan_recovery
from replicator.replication.restore_points import Replicas
from replicator.zfs.model import Dataset, Snapshot
from replicator.zfs.snapshot_names import snapshot_name

JOB = JobId(100, 0)
OLD, NEW = 1_800_000_000, 1_800_000_900


def replica(name: str, *times: int, **facts: Any) -> Dataset:
    """A replica with sets of these times."""
    snapshots = tuple(
        Snapshot(snapshot_name(JOB, at), guid=hash((name, at)), createtxg=at, creation=at) for at in times
    )
    known: dict[str, Any] = {"readonly": True, "written": 0, "job": "100-0", "source": "alpha", "epoch": "1"} | facts
    return Dataset(f"tank/{name}", is_volume=False, guid=hash(name), snapshots=snapshots, **known)


def plan(*replicas: Dataset) -> Any:
    return plan_recovery(JOB, "alpha", "beta", Replicas({each.name: each for each in replicas}))


def test_the_newest_set_that_all_have_is_taken_parents_first() -> None:
    found = plan(replica("b", OLD, NEW), replica("a/child", NEW), replica("a", OLD, NEW))

    assert found.set_time == NEW
    assert [each.name for each in found.replicas] == ["tank/a", "tank/a/child", "tank/b"]


def test_a_replica_whose_volume_had_left_the_guest_stays_one() -> None:
    found = plan(replica("a", NEW - 60, NEW), replica("gone", OLD))

    assert [each.name for each in found.replicas] == ["tank/a"]
    assert found.left == {"tank/gone": OLD}


def test_replicas_of_another_source_do_not_count() -> None:
    found = plan(replica("a", OLD), replica("other", NEW, source="gamma"))

    assert found.set_time == OLD
    assert [each.name for each in found.replicas] == ["tank/a"]


def test_a_volume_that_is_ahead_refuses_with_the_command_that_takes_it_back() -> None:
    with pytest.raises(DivergedError, match="'tank/a' on beta has a newer set than the other volumes") as caught:
        plan(replica("a", OLD, NEW), replica("b", OLD))

    assert f"zfs rollback -r {'tank/a'}@{snapshot_name(JOB, OLD)}" in caught.value.advice


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
        ((replica("a", OLD, source="gamma"),), "No replica of guest 100 from alpha"),
        ((replica("a", OLD), replica("b", NEW)), "No set of job 100-0 is whole on beta"),
    ],
)
def test_where_nothing_is_whole_there_is_nothing_to_recover_from(replicas: tuple[Dataset, ...], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        plan(*replicas)


@pytest.mark.parametrize(
    ("known", "stamps", "expected"), [(1, ["1", "1"], 2), (3, [None, "2"], 4), (1, ["7", "many"], 8), (5, [], 6)]
)
def test_the_next_epoch_is_above_all_that_is_known(known: int, stamps: list[str | None], expected: int) -> None:
    assert next_epoch(known, [replace(replica("a", OLD), epoch=epoch) for epoch in stamps]) == expected


def test_what_was_shown_is_the_same_only_with_the_same_replicas_and_set() -> None:
    shown = plan(replica("a", OLD, NEW))

    assert plan(replica("a", OLD, NEW)).identity == shown.identity
    assert plan(replica("a", OLD, NEW, NEW + 60)).identity != shown.identity
    assert plan(replace(replica("a", OLD, NEW), guid=1)).identity != shown.identity
