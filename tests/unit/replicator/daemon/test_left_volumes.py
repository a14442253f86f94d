"""An inventory names the guests of other nodes that left volumes here which are no replicas yet; they become such."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from replicator.cluster.model import Cluster
from replicator.config.settings import Settings
from replicator.daemon import left_volumes
from replicator.daemon.left_volumes import LeftVolumes
from replicator.daemon.local_inventory import conclude
from replicator.guests.both_sides import Left
from replicator.hosts.host import Completed
from replicator.models import Guest, GuestId, Job, JobId, Storage, Volume
from replicator.zfs.model import Dataset, Inventory
from replicator.zfs.node_clients import Nodes

JOB = Job(JobId(100, 0), "alpha", source="beta")
CLUSTER = Cluster(
    storages={"tank": Storage("tank", "tank")}, guests={100: Guest(100, "web", "beta", epoch=2)}, jobs={JOB.id: JOB}
)
LEFT = Dataset("tank/vm-100-disk-0", is_volume=True, guid=1, owner="alpha", epoch="1")


def left(dataset: Dataset, cluster: Cluster = CLUSTER) -> tuple[GuestId, ...]:
    inventories = {"tank": Inventory({"tank": Dataset("tank", is_volume=False, guid=9), dataset.name: dataset})}
    return conclude(cluster, [], "alpha", inventories).left


def test_a_volume_with_this_nodes_stamp_of_a_guest_that_went_elsewhere_is_left() -> None:
    assert left(LEFT) == (100,)


@pytest.mark.parametrize(
    "dataset",
    [
        replace(LEFT, owner="beta", epoch="2", job="100-0", source="beta"),
        replace(LEFT, owner=None, epoch=None),
        replace(LEFT, owner="gamma"),
        replace(LEFT, name="tank/vm-101-disk-0"),
    ],
    ids=["a replica", "never stamped", "another node's", "another guest's"],
)
def test_nothing_else_is(dataset: Dataset) -> None:
    assert left(dataset) == ()


def test_so_is_a_replica_that_a_recovery_here_has_claimed() -> None:
    assert left(replace(LEFT, owner="beta", epoch="3-claimed", job="100-0", source="beta")) == (100,)


def test_nothing_is_left_of_a_guest_of_this_node() -> None:
    assert left(LEFT, replace(CLUSTER, guests={100: Guest(100, "web", "alpha")})) == ()


def test_nothing_is_left_where_no_job_replicates_back() -> None:
    assert left(LEFT, replace(CLUSTER, jobs={})) == ()


def test_what_is_there_is_left_also_where_a_listed_volume_is_not() -> None:
    """The guest got it on its new node, and no run could bring it here yet."""
    listed = Guest(100, "web", "beta", epoch=2, volumes=(Volume("tank", "vm-100-disk-0"), Volume("tank", "new")))
    assert left(LEFT, replace(CLUSTER, guests={100: listed})) == (100,)
    assert left(replace(LEFT, name="tank/vm-100-disk-9"), replace(CLUSTER, guests={100: listed})) == ()


def test_what_is_there_is_left_also_where_this_node_lacks_a_storage() -> None:
    more = {**CLUSTER.storages, "hdd": Storage("hdd", "hdd/data")}
    assert left(LEFT, replace(CLUSTER, storages=more)) == (100,)


@pytest.mark.parametrize("kind", ["shared", "aside"])
async def test_when_volumes_became_replicas_their_job_is_ordered_on_the_guests_node(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits after a failure: they were no replicas."""
    ordered: list[list[str]] = []

    class There:
        host = property(lambda self: self)

        async def run(self, argv: list[str], *, limit: float) -> Completed:
            ordered.append(argv)
            return Completed(("zsr",), 0, "", "")

    async def released(*_: object) -> Left:
        return replace(Left((), (), ()), **{kind: (LEFT,)})

    async def no_claims(*_: object) -> list[str]:
        return []

    nodes = cast("Nodes", SimpleNamespace(client=lambda _: There()))
    settings = cast("Settings", SimpleNamespace(node="alpha"))
    monkeypatch.setattr(left_volumes, "LOOK_SECONDS", 0)
    monkeypatch.setattr(left_volumes, "take_void_claims_back", no_claims)
    monkeypatch.setattr(left_volumes, "release_left", released)
    found = LeftVolumes(settings, nodes, lambda: CLUSTER, lambda: CLUSTER, lambda: () if ordered else (100,))

    with suppress(TimeoutError):
        await asyncio.wait_for(found.keep_releasing(), 0.2)

    assert ordered == [["zsr", "schedule-now", "100-0"]]


async def test_a_claim_of_a_recovery_that_committed_stays_though_the_daemon_has_not_read_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The recovery died right after its commit; nothing of the guest here is looked at, and nothing is changed."""
    asked: list[str] = []
    nodes = cast("Nodes", SimpleNamespace(client=asked.append))
    settings = cast("Settings", SimpleNamespace(node="alpha", state_dir=tmp_path))
    committed = replace(CLUSTER, guests={100: Guest(100, "web", "alpha", epoch=3)})
    monkeypatch.setattr(left_volumes, "LOOK_SECONDS", 0)
    reads: list[Cluster] = []

    def read() -> Cluster:
        reads.append(committed)
        return committed

    found = LeftVolumes(settings, nodes, lambda: CLUSTER, read, lambda: () if len(reads) > 1 else (100,))
    with suppress(TimeoutError):
        await asyncio.wait_for(found.keep_releasing(), 0.5)

    assert reads
    assert asked == []
