"""The owners and epochs that a node's status shows: of the guests that it has to do with."""

from __future__ import annotations

from replicator.api.status import GuestOwner
from replicator.cluster.model import Cluster
from replicator.daemon.status import owners
from replicator.models import Guest, Job, JobId

CLUSTER = Cluster(
    guests={
        100: Guest(100, "web", "alpha", epoch=3),
        101: Guest(101, "mail", "beta"),
        102: Guest(102, "db", "gamma"),
    },
    jobs={
        each.id: each for each in (Job(JobId(101, 0), "alpha"), Job(JobId(102, 0), "beta"), Job(JobId(99, 0), "alpha"))
    },
)


def test_a_node_knows_those_of_its_guests_and_of_those_that_it_receives() -> None:
    assert owners(CLUSTER, "alpha") == {100: GuestOwner("alpha", 3), 101: GuestOwner("beta", 1)}
