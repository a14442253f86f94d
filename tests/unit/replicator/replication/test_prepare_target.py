"""Putting a replica aside, killed after each of its orders: the next runs end where an undisturbed one would."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import cast

import pytest

from replicator.errors import TargetActiveError
from replicator.replication.destruction import KeepAside
from replicator.replication.plan import Full, Incremental, make_plan, set_aside
from replicator.replication.prepare_target import destroy_or_keep, prepare
from replicator.zfs.client import ZfsClient
from replicator.zfs.fence import Fence
from replicator.zfs.model import Dataset, Inventory
from tests.support.played_host import PlayedHost
from tests.support.volumes import JOB, WAY, dataset, pair, promoted, snap

REPLICA = "pool/vm-100-disk-0"
OTHER = "pool/vm-100-disk-1"
SOURCE = dataset(snap(1), snap(2))
DIVERGED = dataset(
    snap(1), snap(2), snap(5, "mine", written=7), name=REPLICA, job=str(JOB), readonly=True, mounted=False
)


class Killed(BaseException):
    """The run's process is gone."""


class World:
    """A target of which a run's orders change the datasets, until the run is killed after ``orders`` of them."""

    node = "beta"

    def __init__(self, *found: Dataset) -> None:
        self.datasets = {each.name: each for each in found}
        self.orders = 0

    def _order(self) -> None:
        if self.orders == 0:
            raise Killed
        self.orders -= 1

    async def refuse_in_use(self, name: str, job: str, source: str, fence: Fence | None) -> None:
        found = self.datasets[name]
        assert (found.job, found.source, found.readonly) == (job, source, True)

    async def inventory(self, path: str, *, depth: int) -> Inventory:
        return Inventory({name: each for name, each in self.datasets.items() if f"{name}/".startswith(f"{path}/")})

    async def create_parents(self, path: str, name: str) -> None:
        self._order()

    async def set_properties(self, name: str, properties: Mapping[str, str]) -> None:
        self._order()
        self.datasets[name] = replace(self.datasets[name], job=properties.get("zsr:job", self.datasets[name].job))

    async def rename(self, old: str, new: str) -> None:
        self._order()
        assert new not in self.datasets
        self.datasets[new] = replace(self.datasets.pop(old), name=new)

    async def clone(self, snapshot: str, name: str, properties: Mapping[str, str]) -> None:
        self._order()
        of, _, short = snapshot.partition("@")
        assert name not in self.datasets
        assert self.datasets[of].named(short) is not None
        self.datasets[name] = Dataset(
            name,
            self.datasets[of].is_volume,
            1,
            job=properties["zsr:job"],
            source=properties["zsr:source"],
            readonly=True,
            mounted=False,
            origin=snapshot,
        )

    async def promote(self, name: str) -> None:
        self._order()
        self.datasets |= promoted(self.datasets, name)

    def contents(self) -> list[tuple[set[int], str | None]]:
        """What matters in the end, whatever what is aside is called."""
        return [
            ({s.guid for s in found.snapshots}, found.origin)
            for _, found in sorted(self.datasets.items(), key=lambda item: "zsr-diverged" in item[0])
        ]


async def run(world: World, source: Dataset, *, orders: int, now: float) -> Full | Incremental:
    """One run's plan for the target as it is, carried out until it is killed."""
    world.orders = orders
    inventory = Inventory(world.datasets)
    orphans = [found for found in inventory.replicas_of(JOB) if found.name != REPLICA]
    plan = make_plan(WAY, [pair(source, inventory.get(REPLICA))], orphans, inventory.diverged_of(JOB))
    assert not plan.conflicts
    (action,) = plan.actions
    properties = {"readonly": "on", "canmount": "noauto", "zsr:source": "alpha", "zsr:job": str(JOB)}
    with suppress(Killed):
        await prepare(action, cast(ZfsClient, world), properties, now, lambda *_: None)
    return action


def deaths() -> Iterator[tuple[int, int]]:
    """After how many orders the first and the second run die."""
    return itertools.product(range(7), range(4))


@pytest.mark.parametrize("is_volume", [False, True], ids=["filesystem", "zvol"])
@pytest.mark.parametrize(("first", "second"), list(deaths()))
async def test_wherever_runs_die_a_replica_is_put_aside_once_and_never_sent_in_full(
    first: int, second: int, is_volume: bool
) -> None:
    source, diverged = replace(SOURCE, is_volume=is_volume), replace(DIVERGED, is_volume=is_volume)
    undisturbed = World(diverged)
    await run(undisturbed, source, orders=99, now=10.0)

    world = World(diverged)
    actions = [
        await run(world, source, orders=orders, now=now) for orders, now in ((first, 10.0), (second, 20.0), (99, 30.0))
    ]

    assert all(isinstance(action, Incremental) for action in actions)
    assert world.contents() == undisturbed.contents() == [({1, 2}, None), ({5}, f"{REPLICA}@{snap(2).name}")]


async def test_after_it_nothing_is_left_to_prepare() -> None:
    world = World(DIVERGED)
    await run(world, SOURCE, orders=99, now=10.0)
    assert (await run(world, SOURCE, orders=99, now=20.0)).preparations == ()


@pytest.mark.parametrize("first", range(8))
async def test_a_renamed_replica_that_diverged_as_well_is_gone_on_with_too(first: int) -> None:
    world = World(replace(DIVERGED, name=OTHER))
    for orders, now in ((first, 10.0), (99, 20.0)):
        assert isinstance(await run(world, SOURCE, orders=orders, now=now), Incremental)
    assert world.contents() == [({1, 2}, None), ({5}, f"{REPLICA}@{snap(2).name}")]


@pytest.mark.parametrize("first", range(3))
async def test_a_re_created_volumes_replica_is_kept_whole_also_when_the_run_dies(first: int) -> None:
    """Nothing begins the new one, so it is sent in full; what was there is aside with all that it had."""
    world = World(DIVERGED)
    for orders, now in ((first, 10.0), (99, 20.0)):
        assert isinstance(await run(world, dataset(snap(9)), orders=orders, now=now), Full)
    assert world.contents() == [({1, 2, 5}, None)]


async def test_a_replica_that_was_made_writable_since_the_plan_is_not_put_aside() -> None:
    (action,) = make_plan(WAY, [pair(SOURCE, DIVERGED)]).actions
    host = PlayedHost(DIVERGED, readonly=("off", "local"))
    properties = {"readonly": "on", "zsr:source": "alpha", "zsr:job": str(JOB)}
    with pytest.raises(TargetActiveError):
        await prepare(action, host.client, properties, 10.0, lambda *_: None)
    assert host.orders == []


class TestWhatLiesBelowAReplica:
    """A rename would take it along; what is there may be another volume's replica, or a person's."""

    PROPERTIES: Mapping[str, str] = {"readonly": "on", "zsr:source": "alpha", "zsr:job": str(JOB)}

    async def prepared(self, found: Dataset, below: Dataset) -> list[str]:
        orphans = [] if found.name == REPLICA else [found]
        (action,) = make_plan(WAY, [pair(SOURCE, found if not orphans else None)], orphans).actions
        host = PlayedHost(found, below)
        with suppress(TargetActiveError):
            await prepare(action, host.client, self.PROPERTIES, 10.0, lambda *_: None)
        return host.orders

    @pytest.mark.parametrize("job", [None, "100-7"])
    async def test_keeps_it_from_being_put_aside(self, job: str | None) -> None:
        assert await self.prepared(DIVERGED, dataset(name=f"{REPLICA}/b", job=job)) == []

    async def test_keeps_it_from_being_renamed(self) -> None:
        found = replace(DIVERGED, name=OTHER, snapshots=(snap(1), snap(2)))
        assert await self.prepared(found, dataset(name=f"{OTHER}/b")) == []
        assert await self.prepared(found, dataset(name=f"{OTHER}/b", job="100-7")) == []

    async def test_moves_with_it_where_it_is_of_the_job_too_as_on_the_source(self) -> None:
        found = replace(DIVERGED, name=OTHER, snapshots=(snap(1), snap(2)))
        assert len(await self.prepared(found, dataset(name=f"{OTHER}/b", job=str(JOB)))) == 1

    async def test_keeps_it_where_it_is_when_its_volume_vanished(self) -> None:
        host = PlayedHost(DIVERGED, dataset(name=f"{REPLICA}/b"))
        with pytest.raises(TargetActiveError, match="move along"):
            await destroy_or_keep(KeepAside(snap(5, "mine")), DIVERGED, "pool", (), host.client, 10.0, lambda *_: None)
        assert host.orders == []


async def test_a_replica_that_has_no_marks_yet_gets_them_when_it_is_put_aside() -> None:
    """Without them nothing would list it, and nobody would know that it is there."""
    unmarked = replace(DIVERGED, job=None, source=None)
    action = set_aside(pair(SOURCE, unmarked), snap(2))
    assert isinstance(action, Incremental)
    host = PlayedHost(unmarked)
    properties = {"readonly": "on", "zsr:source": "alpha", "zsr:job": str(JOB)}
    await prepare(action, host.client, properties, 10.0, lambda *_: None)
    aside = "pool/zsr-diverged/vm-100-disk-0-10"
    assert host.orders[1:4] == [
        f"rename {REPLICA} {aside}", f"set zsr:source=alpha {aside}", f"set zsr:job={JOB} {aside}",
    ]  # fmt: skip
