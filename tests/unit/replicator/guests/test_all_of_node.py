"""Which guests of a dead node go on where, and why others cannot."""

from __future__ import annotations

from typing import Any

import pytest

from replicator.cluster.model import Cluster
from replicator.errors import NetworkError
from replicator.guests.all_of_node import Candidate, candidates
from replicator.models import Guest, Job, JobId, Node, Storage
from replicator.replication.guest_replicas import Answers
from replicator.zfs.model import Dataset, Snapshot
from replicator.zfs.snapshot_names import snapshot_name

OLD, NEW = 1_800_000_000, 1_800_000_900
SILENT = NetworkError("It is off.")


def cluster(*targets: str, zsr: bool = True, guest: Guest | None = None) -> Cluster:
    """Guest 100 on alpha, with a job to each of these nodes."""
    nodes = {name: Node(name, "10.0.0.1", zsr=zsr or name == "alpha") for name in ("alpha", "beta", "gamma")}
    jobs = {JobId(100, at): Job(JobId(100, at), target) for at, target in enumerate(targets)}
    return Cluster(
        nodes=nodes,
        storages={"tank": Storage("tank", "tank")},
        guests={100: guest or Guest(100, "web", "alpha"), 200: Guest(200, "db", "gamma")},
        jobs=jobs,
    )


def replica(job: str, *times: int, **facts: Any) -> dict[str, Dataset]:
    """What a node has: a replica with sets of these times."""
    snapshots = tuple(Snapshot(snapshot_name(JobId.parse(job), at), at, at, at, written=0) for at in times)
    known: dict[str, Any] = {"readonly": True, "written": 0, "source": "alpha", "owner": "alpha", "epoch": "1"} | facts
    each = Dataset("tank/vm-100-disk-0", is_volume=True, guid=1, snapshots=snapshots, job=job, **known)
    return {each.name: each}


def one(of: Cluster, answers: Answers, *, older: bool = False) -> Candidate:
    """The only guest that is found."""
    [found] = candidates(of, "alpha", answers, older=older)
    return found


def test_the_most_recent_replica_is_chosen() -> None:
    found = one(cluster("beta", "gamma"), {"beta": replica("100-0", OLD), "gamma": replica("100-1", OLD, NEW)})
    assert (found.guest.id, found.node, found.set_time, found.why) == (100, "gamma", NEW, "")


@pytest.mark.parametrize(
    ("of", "answers", "why"),
    [
        (cluster(), {}, "no job replicates it"),
        (cluster("beta"), {"beta": SILENT}, "beta does not answer"),
        (cluster("beta"), {"beta": {}}, "no set of it is whole"),
        (cluster("beta", zsr=False), {"beta": replica("100-0", NEW)}, "beta has zsr = false"),
        (cluster("beta"), {"beta": replica("100-0", NEW, written=512)}, "written to: it is used already"),
        (cluster("beta", "gamma"), {"beta": replica("100-0", NEW), "gamma": SILENT}, "gamma does not say what it has"),
    ],
    ids=["no job", "silent", "nothing whole", "without zsr", "in use", "another is silent"],
)
def test_what_cannot_be_recovered_says_why(of: Cluster, answers: Answers, why: str) -> None:
    assert why in one(of, answers).why


def test_another_target_that_is_silent_does_not_matter_where_a_person_says_so() -> None:
    of = cluster("beta", "gamma")
    assert one(of, {"beta": replica("100-0", NEW), "gamma": SILENT}, older=True).why == ""


@pytest.mark.parametrize("guest", [None, Guest(100, "web", "beta", epoch=2)], ids=["not known here", "known here"])
def test_what_another_node_has_taken_is_that_nodes_to_finish(guest: Guest | None) -> None:
    of = cluster("beta", "gamma", guest=guest)
    found = one(of, {"beta": replica("100-0", NEW, owner="beta", epoch="2"), "gamma": replica("100-1", NEW)})
    assert (found.node, found.set_time, found.why) == ("beta", None, "")


def test_the_guests_of_other_nodes_are_left_alone() -> None:
    assert candidates(cluster("beta"), "delta", {"beta": replica("100-0", NEW)}) == []
