"""Replicas below each other: whatever happens to one, those below it keep their place, and are never sent again."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import cast

import pytest

from replicator.errors import NoSpaceError
from replicator.hosts.stream import Limits
from replicator.models import Job, Volume
from replicator.replication.plan import Full, Incremental, Plan, VolumePair, make_plan
from replicator.replication.prepare_target import make_room
from replicator.replication.progress import Progress
from replicator.replication.transfer import Transfers
from replicator.replication.trees import next_in_order, now_at
from replicator.zfs.client import ZfsClient
from replicator.zfs.fence import Fence
from replicator.zfs.model import PLACEHOLDER, Dataset, Inventory
from tests.support.volumes import JOB, WAY, dataset, promoted, snap

TOP, CHILD, DEEP = "pool/a", "pool/a/b", "pool/a/b/c"
NEW = 9
"""The GUID of the set that each run sends."""


class Killed(BaseException):
    """The run's process is gone."""


@dataclass
class Target:
    """A target of which a run's orders change the datasets, until the run is killed after some of them."""

    datasets: dict[str, Dataset]
    orders: int = 99
    full: list[str] = field(default_factory=list)
    no_space: bool = False
    node: str = "beta"

    def order(self) -> None:
        if self.orders == 0:
            raise Killed
        self.orders -= 1

    def put(self, found: Dataset) -> None:
        assert found.name not in self.datasets, found.name
        assert found.name.rpartition("/")[0] in self.datasets, found.name
        self.datasets[found.name] = found

    async def refuse_in_use(self, name: str, job: str, source: str, fence: Fence | None) -> None:
        found = self.datasets[name]
        assert (found.job, found.source, found.readonly) == (job, source, True)

    async def inventory(self, path: str, *, depth: int) -> Inventory:
        assert depth > 8
        return Inventory({name: each for name, each in self.datasets.items() if f"{name}/".startswith(f"{path}/")})

    async def create_parents(self, path: str, name: str, properties: Mapping[str, str] | None = None) -> None:
        self.order()
        parts = name.split("/")
        for count in range(1, len(parts)):
            above = "/".join((path, *parts[:count]))
            if above not in self.datasets:
                marks = properties or {}
                made = dataset(name=above, job=marks.get("zsr:job"), readonly=True, mounted=False, written=96)
                self.put(made)

    async def set_properties(self, name: str, properties: Mapping[str, str]) -> None:
        self.order()

    async def rename(self, old: str, new: str) -> None:
        self.order()
        for name in sorted(name for name in self.datasets if f"{name}/".startswith(f"{old}/")):
            self.put(replace(self.datasets.pop(name), name=f"{new}{name[len(old) :]}"))

    async def clone(self, snapshot: str, name: str, properties: Mapping[str, str]) -> None:
        self.order()
        self.put(dataset(name=name, job=properties["zsr:job"], readonly=True, mounted=False, origin=snapshot))

    async def promote(self, name: str) -> None:
        self.order()
        self.datasets |= promoted(self.datasets, name)


class Played(Transfers):
    """Transfers whose streams are played: each is one order."""

    to: Target

    async def _send(self, action: Full | Incremental, name: str) -> None:
        self.to.order()
        at = action.pair.target_name
        if isinstance(action, Full):
            if self.to.no_space:
                raise NoSpaceError("full")
            self.to.full.append(at)
            await make_room(action.pair, cast(ZfsClient, self.to), "alpha")
            self.to.put(dataset(snap(NEW), name=at, job=str(JOB), readonly=True, mounted=False))
        else:
            found = self.to.datasets[at]
            if found.by_guid(NEW) is not None:  # an earlier run sent it; zsr would send a newer one
                return
            assert found.snapshots[-1].guid == action.base.guid
            self.to.datasets[at] = replace(found, snapshots=(*found.snapshots, snap(NEW)), written=0)


def replica(name: str, *guids: int, written: int = 0) -> Dataset:
    found = dataset(*map(snap, guids), name=name, job=str(JOB), readonly=True, mounted=False)
    return replace(found, written=written)


def target(*replicas: Dataset) -> Target:
    found = (dataset(name="pool"), *replicas)
    return Target({each.name: each for each in found})


def planned(to: Target, sources: Mapping[str, Dataset]) -> Plan:
    here = Inventory(to.datasets)
    pairs = [
        VolumePair(Volume("data", name), "pool", source, f"pool/{name}", here.get(f"pool/{name}"))
        for name, source in sorted(sources.items(), key=lambda item: item[0].count("/"))
    ]
    names = {pair.target_name for pair in pairs}
    orphans = [each for each in here.replicas_of(JOB) if each.name not in names]
    return make_plan(WAY, pairs, orphans, here.diverged_of(JOB))


async def run(to: Target, sources: Mapping[str, Dataset], *, orders: int = 99, now: float = 10.0) -> Plan:
    """One run's plan for the target as it is, carried out until it is killed."""
    to.orders = orders
    plan = planned(to, sources)
    assert not plan.conflicts
    client = cast(ZfsClient, to)
    transfers = Played(Job(JOB, "beta"), cast(ZfsClient, Target({}, node="alpha")), client, Limits(None, 9.0),
                       Progress(), lambda *_: None, lambda: now)  # fmt: skip
    transfers.to = to
    with suppress(Killed):
        await transfers.transfer_all(plan.actions, snap(NEW).name)
    return plan


def sources(**of: Iterable[int]) -> dict[str, Dataset]:
    """Volumes by name (``__`` for a slash) with the GUIDs of their snapshots."""
    names = {name.replace("__", "/"): guids for name, guids in of.items()}
    return {name: dataset(*map(snap, guids), name=f"tank/{name}") for name, guids in names.items()}


def guids(to: Target) -> dict[str, list[int]]:
    return {name: [s.guid for s in each.snapshots] for name, each in to.datasets.items() if "zsr-" not in name}


TREE = sources(a=(1, 2, NEW), a__b=(1, 2, NEW), a__b__c=(1, 2, NEW))
WHOLE = {"pool": [], TOP: [1, 2, NEW], CHILD: [1, 2, NEW], DEEP: [1, 2, NEW]}


@pytest.mark.parametrize("diverged", [TOP, CHILD, DEEP])
@pytest.mark.parametrize(("first", "second"), list(itertools.product(range(0, 12), range(0, 8, 2))))
async def test_wherever_runs_die_a_tree_is_put_aside_and_nothing_below_is_lost_or_sent_again(
    diverged: str, first: int, second: int
) -> None:
    to = target(*(replica(name, 1, 2, *((5,) if name == diverged else ())) for name in (TOP, CHILD, DEEP)))
    to.datasets[diverged] = replace(to.datasets[diverged], snapshots=(snap(1), snap(2), snap(5, "mine", written=7)))
    for orders, now in ((first, 10.0), (second, 20.0), (99, 30.0)):
        await run(to, TREE, orders=orders, now=now)
    assert to.full == []
    assert guids(to) == WHOLE
    asides = [name for name in to.datasets if "/zsr-diverged/" in name]
    assert len(asides) == 1
    assert [s.guid for s in to.datasets[asides[0]].snapshots] == [5]


@pytest.mark.parametrize("first", range(9))
async def test_a_parent_that_was_created_again_is_sent_in_full_and_only_that(first: int) -> None:
    to = target(replica(TOP, 1, 2), replica(CHILD, 1, 2), replica(DEEP, 1, 2))
    volumes = {**TREE, **sources(a=(NEW,))}
    for orders, now in ((first, 10.0), (99, 20.0)):
        await run(to, volumes, orders=orders, now=now)
    assert to.full == [TOP]
    assert guids(to) == {**WHOLE, TOP: [NEW]}


async def test_while_a_parent_is_not_on_the_target_its_children_wait() -> None:
    """Else a plain dataset would be made in its place, which is in the way of the parent's own full copy."""
    to = target()
    to.no_space = True
    with pytest.raises(NoSpaceError):
        await run(to, TREE)
    assert guids(to) == {"pool": []}
    to.no_space = False
    await run(to, TREE)
    assert to.full == [TOP, CHILD, DEEP]


@pytest.mark.parametrize("first", range(5))
async def test_a_renamed_tree_takes_all_of_it_along(first: int) -> None:
    to = target(replica(TOP, 1, 2), replica(CHILD, 1, 2), replica(DEEP, 1, 2))
    volumes = sources(x=(1, 2, NEW), x__b=(1, 2, NEW), x__b__c=(1, 2, NEW))
    for orders in (first, 99):
        await run(to, volumes, orders=orders)
    assert to.full == []
    assert guids(to) == {"pool": [], "pool/x": [1, 2, NEW], "pool/x/b": [1, 2, NEW], "pool/x/b/c": [1, 2, NEW]}


@pytest.mark.parametrize("first", range(6))
async def test_a_renamed_child_and_one_that_moved_below_another_parent(first: int) -> None:
    to = target(replica(TOP, 1), replica(CHILD, 2), replica(DEEP, 3), replica("pool/d", 4))
    volumes = sources(a=(1, NEW), a__e=(2, NEW), d=(4, NEW), d__c=(3, NEW))
    for orders in (first, 99):
        await run(to, volumes, orders=orders)
    assert to.full == []
    assert guids(to) == {"pool": [], TOP: [1, NEW], "pool/a/e": [2, NEW], "pool/d": [4, NEW], "pool/d/c": [3, NEW]}


@pytest.mark.parametrize("first", range(9))
async def test_trees_that_swap_their_names(first: int) -> None:
    to = target(replica(TOP, 1), replica(CHILD, 2), replica("pool/d", 3), replica("pool/d/b", 4))
    volumes = sources(d=(1, NEW), d__b=(2, NEW), a=(3, NEW), a__b=(4, NEW))
    for orders in (first, 99):
        await run(to, volumes, orders=orders)
    assert to.full == []
    assert guids(to) == {"pool": [], TOP: [3, NEW], CHILD: [4, NEW], "pool/d": [1, NEW], "pool/d/b": [2, NEW]}


async def test_names_that_are_swapped_again_need_none_that_a_run_that_died_left_taken() -> None:
    """ZFS renames onto no dataset, so each run would fail."""
    folder = "pool/zsr-diverged"
    left = (dataset(name=folder), replica(f"{folder}/a-parked", 7), replica(f"{folder}/a-parked1", 8))
    to = target(replica("pool/a", 1), replica("pool/b", 2), *left)
    await run(to, sources(a=(2, NEW), b=(1, NEW)))
    assert [[each.guid for each in to.datasets[name].snapshots] for name in ("pool/a", "pool/b")] == [
        [2, NEW],
        [1, NEW],
    ]
    assert to.full == []


@pytest.mark.parametrize("first", range(7))
async def test_a_child_that_stays_when_its_parent_is_renamed_and_another_takes_its_name(first: int) -> None:
    to = target(replica(TOP, 1), replica(CHILD, 2))
    volumes = sources(x=(1, NEW), a=(NEW,), a__b=(2, NEW))
    for orders in (first, 99):
        await run(to, volumes, orders=orders)
    assert to.full == [TOP]
    assert guids(to) == {"pool": [], "pool/x": [1, NEW], TOP: [NEW], CHILD: [2, NEW]}


async def test_a_child_without_its_parent_lies_below_a_placeholder_that_the_parent_replaces() -> None:
    to = target()
    await run(to, sources(a__b=(1, 2)))
    made = to.datasets[TOP]
    assert (made.job, made.source, made.snapshots) == (PLACEHOLDER, "alpha", ())


@pytest.mark.parametrize("first", range(7))
async def test_a_parent_that_joins_later_takes_the_place_of_the_placeholder(first: int) -> None:
    to = target(replace(replica(TOP), job=PLACEHOLDER, written=96), replica(CHILD, 1, 2))
    volumes = sources(a=(2, NEW), a__b=(1, 2, NEW))
    for orders in (first, 99):
        await run(to, volumes, orders=orders)
    assert to.full == [TOP]
    assert guids(to) == {"pool": [], TOP: [NEW], CHILD: [1, 2, NEW]}


def test_a_placeholder_with_a_snapshot_is_somebodys_and_refuses_the_run() -> None:
    to = target(replace(replica(TOP, 7), job=PLACEHOLDER), replica(CHILD, 1, 2))
    plan = planned(to, sources(a=(2, NEW), a__b=(1, 2, NEW)))
    assert [each.pair.target_name for each in plan.conflicts] == [TOP]


async def test_a_vanished_childs_replica_comes_back_to_its_place_as_well() -> None:
    to = target(replica(TOP, 1, 2), replica(CHILD, 1, 2))
    to.datasets[TOP] = replace(to.datasets[TOP], snapshots=(snap(1), snap(2), snap(5, "mine", written=7)))
    plan = await run(to, sources(a=(1, 2, NEW)))
    assert [each.name for each in plan.orphans] == [CHILD]
    assert guids(to) == {"pool": [], TOP: [1, 2, NEW], CHILD: [1, 2]}


def test_what_moved_along_and_whose_parents_volume_is_gone_is_still_a_replica() -> None:
    aside = replica("pool/zsr-diverged/a-10", 5)
    to = target(dataset(name="pool/zsr-diverged"), aside, replica("pool/zsr-diverged/a-10/b", 1))
    plan = planned(to, sources(z=(8,)))
    assert [each.name for each in plan.orphans] == ["pool/zsr-diverged/a-10/b"]


def test_the_order_waits_for_what_is_above_and_for_names_that_become_free() -> None:
    assert next_in_order([("p/a/b", ()), ("p/a", ())]) == 1
    assert next_in_order([("p/a", ()), ("p/c", ("p/d",))]) == 1
    assert next_in_order([("p/d", ("p/e",)), ("p/c", ("p/d",))]) == 1
    assert next_in_order([("p/c/x", ("p/d/x",)), ("p/y", ("p/c",))]) == 1
    assert next_in_order([("p/c", ("p/d",)), ("p/d", ("p/c",))]) is None


def test_a_name_after_a_rename_is_that_of_what_lies_above_it() -> None:
    assert now_at("p/a/b", ("p/a", "p/x")) == "p/x/b"
    assert now_at("p/ab", ("p/a", "p/x")) == "p/ab"
