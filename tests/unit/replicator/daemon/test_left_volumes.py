"""An inventory names the guests of other nodes that left volumes here which are no replicas yet."""

from __future__ import annotations

from dataclasses import replace

import pytest

from replicator.cluster.model import Cluster
from replicator.daemon.local_inventory import conclude
from replicator.models import Guest, GuestId, Job, JobId, Storage
from replicator.zfs.model import Dataset, Inventory

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
