"""Which set of a job's replicas a drill takes: the newest that is proven and that all of them have."""

from __future__ import annotations

from typing import Any

import pytest

from replicator.errors import ConfigError, EncryptionError
from replicator.guests.drill_sets import DrillSet, newest_proven
from replicator.models import Job, JobId, KnownSets, Storage
from replicator.replication.restore_points import Replicas
from replicator.zfs.model import Dataset, Snapshot
from replicator.zfs.snapshot_names import snapshot_name

JOB = Job(JobId(100, 0), "beta")
STORAGES = (Storage("data", "tank"), Storage("inner", "tank/inner"), Storage("elsewhere", "gone", frozenset({"gamma"})))
OLD, NEW, NEWER = 1_800_000_000, 1_800_000_900, 1_800_001_800


def replica(name: str, *times: int, **facts: Any) -> Dataset:
    """A replica with sets of these times."""
    snapshots = tuple(Snapshot(snapshot_name(JOB.id, at), hash((name, at)), at, at) for at in times)
    known: dict[str, Any] = {"readonly": True, "written": 0, "job": "100-0", "source": "alpha"} | facts
    return Dataset(f"tank/{name}", is_volume=False, guid=hash(name), snapshots=snapshots, **known)


def chosen(*replicas: Dataset, last_set: int | None = None, known: KnownSets = KnownSets()) -> DrillSet:
    found = Replicas({each.name: each for each in replicas})
    return newest_proven(JOB, "alpha", found, STORAGES, last_set, known)


def test_the_newest_that_all_have_is_taken_with_a_clone_in_its_own_storage() -> None:
    found = chosen(replica("a", OLD, NEW), replica("inner/b", OLD, NEW, NEWER))
    assert found.time == NEW
    assert [(each.volume, each.clone) for each in found.volumes] == [
        ("data:a", f"tank/zsr-diverged/a-{NEW}-drill"),
        ("inner:b", f"tank/inner/zsr-diverged/b-{NEW}-drill"),
    ]
    assert [each.snapshot.name for each in found.volumes] == [snapshot_name(JOB.id, NEW)] * 2


def test_one_that_was_not_proven_is_not_taken_though_all_have_it() -> None:
    assert chosen(replica("a", OLD, NEW), replica("b", OLD, NEW), last_set=OLD).time == OLD


def test_a_replica_whose_volume_left_the_guest_is_left_out() -> None:
    left = replica("gone", OLD - 7200)
    assert [each.volume for each in chosen(left, replica("a", OLD, NEW)).volumes] == ["data:a"]


def test_a_half_received_one_is_drilled_as_of_what_it_has() -> None:
    assert chosen(replica("a", OLD, NEW), replica("b", OLD, token="1-abc")).time == OLD


def test_replicas_of_another_owner_are_not_taken() -> None:
    with pytest.raises(ConfigError, match="holds no whole set of job 100-0 that is proven"):
        chosen(replica("a", NEW, source="gamma"))


def test_there_is_none_before_the_first() -> None:
    with pytest.raises(ConfigError, match="holds no whole set"):
        chosen(replica("a", NEW), last_set=OLD)
    with pytest.raises(ConfigError, match="holds no whole set"):
        chosen()


def test_a_volume_of_the_set_that_is_not_there_any_more_is_named() -> None:
    known = KnownSets(proven=NEW, volumes=("data:a", "data:b"))
    with pytest.raises(ConfigError, match="beta lacks data:b of the newest proven set"):
        chosen(replica("a", NEW), last_set=NEW, known=known)


def test_a_locked_one_cannot_be_drilled() -> None:
    with pytest.raises(EncryptionError, match="The key of 'tank/a' on beta is not loaded"):
        chosen(replica("a", NEW, key_loaded=False))
    assert chosen(replica("a", NEW, key_loaded=True)).time == NEW
