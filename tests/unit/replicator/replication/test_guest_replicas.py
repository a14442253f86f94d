"""What each node holds of a guest: the most recent first, and the bytes that would be lost with it."""

from __future__ import annotations

from dataclasses import replace

from replicator.cluster.model import Cluster
from replicator.errors import NetworkError
from replicator.models import Guest, Job, JobId, Node, Storage
from replicator.replication.guest_replicas import GuestReplica, guest_replicas, nodes_of
from replicator.zfs.model import Dataset
from replicator.zfs.snapshot_names import snapshot_name
from tests.support.volumes import dataset, snap

TO_BETA, TO_GAMMA = JobId(100, 0), JobId(100, 1)
DISK = "tank/vm-100-disk-0"
GUEST = Guest(100, "web", "alpha")
CLUSTER = Cluster(
    nodes={name: Node(name, "local") for name in ("alpha", "beta", "gamma")},
    storages={"data": Storage("data", "tank")},
    guests={100: GUEST, 200: Guest(200, "db", "beta")},
    jobs={TO_BETA: Job(TO_BETA, "beta"), TO_GAMMA: Job(TO_GAMMA, "gamma")},
)


def volume(*sets: tuple[JobId, int, int], written: int | None = 0, replica_of: JobId | None = None) -> Dataset:
    """A dataset with these sets: job, time, and the bytes since the snapshot before; ``written`` since the last."""
    points = (snap(at, snapshot_name(job, at), written=more) for job, at, more in sets)
    return replace(dataset(*points, name=DISK, job=None if replica_of is None else str(replica_of)), written=written)


SOURCE = volume((TO_GAMMA, 50, 7), (TO_BETA, 60, 30), written=4)


def asked(source: object = SOURCE, beta: object = None, gamma: object = None) -> list[GuestReplica]:
    """What is found where the nodes have these datasets, or answer with these errors."""
    answers = {"alpha": source, "beta": beta, "gamma": gamma}
    listed = {
        node: answer if isinstance(answer, NetworkError) else {DISK: answer} if answer is not None else {}
        for node, answer in answers.items()
    }
    return guest_replicas(CLUSTER, GUEST, listed)  # type: ignore[arg-type]


def test_the_most_recent_comes_first_and_what_was_written_after_it_would_be_lost() -> None:
    found = asked(
        beta=volume((TO_BETA, 60, 0), replica_of=TO_BETA), gamma=volume((TO_GAMMA, 50, 0), replica_of=TO_GAMMA)
    )
    assert [(each.node, each.as_of, each.lost) for each in found] == [("beta", 60, 4), ("gamma", 50, 34)]
    assert found[0].newest == {"data:vm-100-disk-0": 60}


def test_a_node_without_a_replica_holds_nothing() -> None:
    found = asked(beta=volume((TO_BETA, 60, 0), replica_of=TO_BETA))
    assert [(each.node, each.as_of, each.newest) for each in found][1] == ("gamma", None, {"data:vm-100-disk-0": None})


def test_while_the_owner_does_not_answer_the_replicas_speak_and_the_bytes_are_not_known() -> None:
    found = asked(NetworkError("no answer"), beta=volume((TO_BETA, 60, 0), replica_of=TO_BETA))
    assert [(each.node, each.as_of, each.lost) for each in found] == [("beta", 60, None), ("gamma", None, None)]


def test_a_node_that_does_not_answer_is_named_with_the_reason() -> None:
    error = NetworkError("no answer")
    found = asked(beta=error, gamma=volume((TO_GAMMA, 50, 0), replica_of=TO_GAMMA))
    assert [(each.node, each.error) for each in found] == [("gamma", None), ("beta", error)]


def test_the_bytes_are_not_known_where_the_owner_has_lost_the_set_or_does_not_count() -> None:
    there = volume((TO_BETA, 40, 0), replica_of=TO_BETA)
    assert asked(beta=there)[0].lost is None
    uncounted = volume((TO_BETA, 60, 30), written=None)
    assert asked(uncounted, beta=volume((TO_BETA, 60, 0), replica_of=TO_BETA))[0].lost is None


def test_another_jobs_replica_is_not_the_guests() -> None:
    assert asked(beta=volume((JobId(300, 0), 60, 0), replica_of=JobId(300, 0)))[0].as_of is None


def test_the_owner_and_the_targets_of_its_jobs_may_hold_a_guest() -> None:
    assert nodes_of(CLUSTER, GUEST) == {"alpha", "beta", "gamma"}
    assert nodes_of(CLUSTER, CLUSTER.guests[200]) == {"beta"}
