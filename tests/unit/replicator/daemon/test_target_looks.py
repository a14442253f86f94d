"""What a source sees of its targets that run no zsr: replicas, those kept aside, and pools; or nothing at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest

from replicator.api.held import PoolRole, PoolSpace
from replicator.cluster.model import Cluster
from replicator.config.ssh import SshSettings
from replicator.daemon.target_looks import TargetLooks, watched_targets
from replicator.errors import AuthError, NetworkError, StorageMissingError
from replicator.models import Guest, Job, JobId, Node, Storage
from replicator.zfs.model import Dataset, Inventory, Snapshot
from replicator.zfs.node_clients import Nodes

JOB = Job(JobId(100, 0), "beta")
CLUSTER = Cluster(
    nodes={"alpha": Node("alpha", "local"), "beta": Node("beta", "10.0.0.2", zsr=False), "gamma": Node("gamma", "c")},
    storages={"tank": Storage("tank", "tank"), "old": Storage("old", "old")},
    guests={100: Guest(100, "web", "alpha", ("tank",)), 200: Guest(200, "mail", "gamma", ("tank",))},
    jobs={JOB.id: JOB, JobId(200, 0): Job(JobId(200, 0), "beta")},
)


def dataset(name: str, guest: int, source: str) -> Dataset:
    snapshots = (Snapshot(f"__replicate_{guest}-0_1000__", 7, 1000, 1000),)
    return Dataset(name, is_volume=True, guid=1, snapshots=snapshots, job=f"{guest}-0", source=source, used=10)


HELD = {
    each.name: each
    for each in (
        dataset("tank/vm-100-disk-0", 100, "alpha"),
        dataset("tank/vm-200-disk-0", 200, "gamma"),
        dataset("tank/vm-300-disk-0", 300, "gamma"),
    )
}


@dataclass
class FakeZfs:
    """The ZFS of beta: what each path holds, or the error of reading it."""

    node: str = "beta"
    paths: dict[str, Inventory | Exception] = field(default_factory=lambda: {"tank": Inventory(HELD)})
    asked: list[str] = field(default_factory=list)

    async def inventory(self, path: str, *, depth: int) -> Inventory:
        self.asked.append(path)
        found = self.paths.get(path, StorageMissingError(f"{path} does not exist."))
        if isinstance(found, Exception):
            raise found
        return found

    async def space(self, pools: Sequence[str]) -> dict[str, tuple[int, int]]:
        self.asked.append("space")
        return dict.fromkeys(pools, (30, 70))


@pytest.fixture
def beta() -> FakeZfs:
    return FakeZfs()


@pytest.fixture
def nodes(beta: FakeZfs, monkeypatch: pytest.MonkeyPatch) -> Nodes:
    made = Nodes("alpha", SshSettings(), limit=5)
    monkeypatch.setattr(made, "client", lambda _: beta)
    return made


@pytest.fixture
def looks(nodes: Nodes) -> TargetLooks:
    return TargetLooks(nodes, "alpha")


def test_only_targets_that_run_no_zsr_are_watched() -> None:
    jobs = [JOB, Job(JobId(100, 1), "gamma"), Job(JobId(100, 2), "removed")]
    assert watched_targets(CLUSTER, jobs, "alpha") == {"beta"}
    assert watched_targets(CLUSTER, [], "alpha") == set()


async def test_one_look_sees_the_nodes_own_guests_and_those_of_nobody(looks: TargetLooks, beta: FakeZfs) -> None:
    await looks.look(CLUSTER, [JOB, replace(JOB, id=JobId(100, 1))])

    assert beta.asked == ["tank", "old", "space"]
    assert set(looks.found) == {"beta"}
    found = looks.found["beta"]
    assert [(each.guest, each.source, each.storage, each.last_sync, each.used) for each in found.replicas] == [
        (100, "alpha", "tank", 1000, 10),
        (300, "gamma", "tank", 1000, 10),
    ]
    assert (found.diverged, found.pools) == ({100: 0}, (PoolSpace("tank", PoolRole.TARGET, 100, 70),))


async def test_what_is_kept_aside_is_counted(looks: TargetLooks, beta: FakeZfs) -> None:
    aside = replace(dataset("tank/zsr-diverged/vm-100-disk-0-900", 100, "alpha"), written=5)
    beta.paths["tank"] = Inventory({**HELD, aside.name: aside})

    await looks.look(CLUSTER, [JOB])

    assert looks.found["beta"].diverged == {100: 1}


async def test_replicas_that_were_destroyed_are_seen_as_nothing(looks: TargetLooks, beta: FakeZfs) -> None:
    beta.paths["tank"] = Inventory({})

    await looks.look(CLUSTER, [JOB])

    assert (looks.found["beta"].replicas, looks.found["beta"].diverged) == ((), {100: 0})


@pytest.mark.parametrize(
    ("error", "reachable"), [(NetworkError("beta is away."), {"beta": False}), (AuthError("Refused."), {})]
)
async def test_a_look_that_fails_leaves_nothing_known(
    looks: TargetLooks, beta: FakeZfs, nodes: Nodes, error: Exception, reachable: dict[str, bool]
) -> None:
    await nodes.update(CLUSTER.nodes.values())
    await looks.look(CLUSTER, [JOB])
    beta.paths["old"] = error

    await looks.look(CLUSTER, [JOB])

    assert looks.found == {}
    assert nodes.reachable == reachable


async def test_an_unexpected_error_leaves_nothing_known_either(looks: TargetLooks, beta: FakeZfs) -> None:
    beta.paths["tank"] = RuntimeError("a bug")
    await looks.look(CLUSTER, [JOB])
    assert looks.found == {}


async def test_a_target_that_is_none_any_more_is_forgotten(looks: TargetLooks) -> None:
    await looks.look(CLUSTER, [JOB])
    await looks.look(CLUSTER, [])
    assert looks.found == {}


async def test_a_node_that_is_disabled_keeps_its_connection() -> None:
    nodes = Nodes("alpha", SshSettings(), limit=5)
    await nodes.update(CLUSTER.nodes.values())
    client = nodes.client("beta")
    fresh = {**CLUSTER.nodes, "beta": replace(CLUSTER.nodes["beta"], disabled=True, disabled_until=1.0, zsr=True)}
    await nodes.update(fresh.values())
    assert nodes.client("beta") is client
    await nodes.update({**fresh, "beta": replace(fresh["beta"], port=2222)}.values())
    assert nodes.client("beta") is not client
    await nodes.close()
