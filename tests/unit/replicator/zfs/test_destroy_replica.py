"""The program that destroys a replica: all of it or nothing, and what its answers mean."""

from __future__ import annotations

import json

import pytest

from replicator.errors import SupersededError, TargetActiveError, ZfsError
from replicator.models import JobId
from replicator.replication.destruction import decide_diverged
from replicator.zfs.channel_programs import ReplicaEnd, destroy_replica, replica_end
from replicator.zfs.fence import Fence, Stamped
from replicator.zfs.permits import Law, ReplicaPermit
from replicator.zfs.replica_checks import is_destroyed
from tests.support.played_host import PlayedHost
from tests.support.volumes import JOB, dataset, snap

NAME = "pool/vm-100-disk-0"
PERMIT = ReplicaPermit(
    Law.VANISHED, "its volume's grace is over", NAME, 2**63, (snap(7),), str(JOB), "alpha", fence=Fence(JOB, "alpha", 3)
)


def end(**table: object) -> ReplicaEnd | Stamped:
    return replica_end(json.dumps({"return": table}))


def test_the_request_has_the_guids_of_all_that_may_go_and_the_fence() -> None:
    line = destroy_replica(PERMIT).partition("\n")[0]
    assert f'["guid"] = "\\045{2**63}"' in line
    assert '["snapshots"] = {["7"] = true}' in line
    assert '["kept\\095aside"] = false, ["owner"] = "alpha", ["epoch"] = "3"' in line
    aside = destroy_replica(decide_diverged(NAME, 1, (), JobId(100, 1))).partition("\n")[0]
    assert '["kept\\095aside"] = true, ["owner"] = ""' in aside


def test_it_is_destroyed_if_nothing_is_left() -> None:
    assert is_destroyed(PERMIT, "beta", end(left=0))


@pytest.mark.parametrize("table", [{"left": 16}, {}])
def test_a_dataset_that_is_left_without_its_snapshots_is_destroyed_by_a_command(table: dict[str, object]) -> None:
    assert not is_destroyed(PERMIT, "beta", end(**table))


def test_an_open_one_is_in_use() -> None:
    with pytest.raises(TargetActiveError, match="is open there; it was not destroyed"):
        is_destroyed(PERMIT, "beta", end(open=NAME))


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"changed": f"{NAME}@new"}, "changed meanwhile .*@new"),
        ({"failed": 16, "needed": f"{NAME}@x"}, "@x' is held, or has a clone"),
    ],
)
def test_one_that_changed_or_is_needed_stays(table: dict[str, object], words: str) -> None:
    with pytest.raises(ZfsError, match=words):
        is_destroyed(PERMIT, "beta", end(**table))


def test_one_that_refuses_the_fence_stays() -> None:
    with pytest.raises(SupersededError):
        is_destroyed(PERMIT, "beta", end(fenced=NAME, owner="gamma", epoch="4"))
    with pytest.raises(ZfsError, match="stamps of another owner"):
        is_destroyed(PERMIT, "beta", end(fenced=NAME, owner="alpha", epoch="3"))


async def test_a_mounted_one_is_unmounted_first() -> None:
    found = dataset(snap(7), name=NAME, job=str(JOB), readonly=True, mounted=True)
    host = PlayedHost(found)
    permit = ReplicaPermit(Law.ONLY_COPY, "a person asked for it", NAME, 1, found.snapshots, str(JOB), "alpha")
    await host.client.destroy_replica(permit)
    assert host.orders == [f"unmount {NAME}", f"destroy -r {NAME}"]
