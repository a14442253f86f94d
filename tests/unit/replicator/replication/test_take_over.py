"""Taking replicas over, killed after each order: the next runs end where an undisturbed one would."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from typing import cast

import pytest

from replicator.errors import BusyError, StorageMissingError, ZfsError
from replicator.models import Guest, GuestId, Job, JobId, KnownSets, Storage, Synced
from replicator.replication.context import OtherJobs, RunContext
from replicator.replication.discovery import Discovered, TargetInventory, pair_volumes
from replicator.replication.guest_rows import is_of_guest
from replicator.replication.inventory_cache import InventoryCache
from replicator.replication.moved_volumes import bears_others_stamps
from replicator.replication.plan import Incremental, make_plan
from replicator.replication.prepare_target import prepare
from replicator.replication.provenance import Direction
from replicator.replication.take_over import LOCK_SECONDS, LOCK_SECONDS_HIGHER, TakeOver
from replicator.zfs.client import ZfsClient
from replicator.zfs.fence import Fence, Stamped
from replicator.zfs.model import Dataset, Inventory, Snapshot
from replicator.zfs.snapshot_names import snapshot_name
from tests.support.volumes import WAY, dataset, snap

WEB, DB = JobId(100, 1), JobId(200, 0)
JOBS = {WEB: Job(WEB, "beta"), DB: Job(DB, "beta")}
GUESTS: dict[GuestId, Guest] = {100: Guest(100, "web", "alpha", epoch=3), 200: Guest(200, "db", "alpha", ("data",))}
STORAGES = (Storage("data", "tank"), Storage("more", "tank/more"))


class Killed(BaseException):
    """The run's process is gone."""


@dataclass
class World:
    """A node of which a run's orders change the datasets, until the run is killed after ``left`` of them."""

    node: str
    datasets: dict[str, Dataset]
    left: int = 99
    asked: list[str] = field(default_factory=list)
    stamps: list[Stamped] = field(default_factory=list)
    unreadable: bool = False

    def _order(self) -> None:
        if self.left == 0:
            raise Killed
        self.left -= 1

    async def inventory(self, path: str, *, depth: int = 2, bookmarks: bool = False) -> Inventory:
        self.asked.append(path)
        if self.unreadable:
            raise StorageMissingError("no")
        return Inventory({n: each for n, each in self.datasets.items() if f"{n}/".startswith(f"{path}/")})

    async def program(self, pool: str, text: str) -> None:
        return None

    async def local_stamps(self, datasets: Sequence[str]) -> list[Stamped]:
        return [each for each in self.stamps if each.dataset in datasets]

    async def refuse_in_use(self, name: str, job: str, source: str, fence: Fence | None) -> None:
        found = self.datasets[name]
        if (found.job, found.source, found.readonly) != (job, source, True):
            raise ZfsError("not what was decided about")

    async def set_together(self, datasets: Sequence[str], values: Mapping[str, str]) -> None:
        self._order()
        for name in datasets:
            marks = (values["zsr:job"], values["zsr:source"], values["zsr:owner"], values["zsr:epoch"])
            job, source, owner, epoch = marks
            self.datasets[name] = replace(self.datasets[name], job=job, source=source, owner=owner, epoch=epoch)

    async def stamp(self, fence: Fence, datasets: Sequence[str]) -> None:
        for name in datasets:
            self.datasets[name] = replace(self.datasets[name], owner=fence.owner, epoch=str(fence.epoch))

    async def create_parents(self, path: str, name: str) -> None: ...

    async def set_properties(self, name: str, properties: Mapping[str, str]) -> None: ...

    async def clone(self, snapshot: str, name: str, properties: Mapping[str, str]) -> None:
        self._order()
        of = self.datasets[snapshot.partition("@")[0]]
        self.datasets[name] = replace(of, name=name, guid=0, job=properties["zsr:job"], snapshots=(), origin=snapshot)

    async def promote(self, name: str) -> None:
        self._order()
        clone = self.datasets[name]
        of = (clone.origin or "").partition("@")[0]
        self.datasets[name] = replace(clone, snapshots=self.datasets[of].snapshots, origin=None)
        self.datasets[of] = replace(self.datasets[of], snapshots=())

    async def rename(self, old: str, new: str) -> None:
        self._order()
        assert new not in self.datasets
        self.datasets[new] = replace(self.datasets.pop(old), name=new)


def of(job: JobId, guid: int) -> Snapshot:
    return snap(guid, snapshot_name(job, 1000 + guid))


def node(name: str, *datasets: Dataset) -> World:
    """A node with these datasets and both storages."""
    found = (dataset(name="tank"), dataset(name="tank/more"), *datasets)
    return World(name, {each.name: replace(each, guid=number) for number, each in enumerate(found, start=1)})


def replica(name: str, job: JobId, guid: int) -> Dataset:
    epoch = str(GUESTS[job.guest].epoch)
    return dataset(of(job, guid), name=name, job=str(job), readonly=True, mounted=False, owner="alpha", epoch=epoch)


@dataclass
class Cluster:
    """Both nodes, and the runs' memory."""

    alpha: World
    beta: World
    locked: set[GuestId] = field(default_factory=set)
    ended: list[JobId] = field(default_factory=list)
    inherited: list[tuple[JobId, tuple[str, ...], float]] = field(default_factory=list)
    synced: Synced = field(default_factory=Synced)
    log: list[str] = field(default_factory=list)
    cache: InventoryCache = field(default_factory=lambda: InventoryCache(lambda: 9.0))

    @contextmanager
    def _lock(self, guest: GuestId) -> Iterator[None]:
        if guest in self.locked:
            raise BusyError("locked")
        self.locked.add(guest)
        try:
            yield
        finally:
            self.locked.discard(guest)

    async def _known(self, job: JobId) -> KnownSets:
        return KnownSets(sent=frozenset({1, 2}))

    async def _ended(self, job: JobId, guid: int) -> None:
        self.ended.append(job)

    async def _keeps(self, job: JobId) -> tuple[str, ...]:
        return ("10", JOBS[job].keep)

    async def _inherit(self, job: Job, texts: tuple[str, ...], since: float) -> None:
        self.inherited.append((job.id, texts, since))

    async def _remember(self, synced: Synced) -> None:
        self.synced = synced

    def _found(self, job: JobId) -> tuple[Discovered, TargetInventory]:
        guest = GUESTS[job.guest]
        here = Inventory({n: each for n, each in self.alpha.datasets.items() if f"/vm-{guest.id}-" in n})
        names = guest.storages or tuple(each.name for each in STORAGES)
        paths = {each.name: each.path for each in STORAGES if each.name in names}
        there = {
            name: Inventory({n: each for n, each in self.beta.datasets.items() if f"{n}/".startswith(f"{path}/")})
            for name, path in paths.items()
        }
        wanted = {each.name: is_of_guest(guest, each, each.path) for each in STORAGES}
        rows = {
            name: Inventory(
                {n: each if wanted[name](each) else replace(each, snapshots=()) for n, each in whole.datasets.items()}
            )
            for name, whole in there.items()
        }
        on_target = TargetInventory(rows, guests_only=True)
        return pair_volumes(JOBS[job], guest, STORAGES, ("alpha", "beta"), here, on_target), on_target

    async def run(self, job: JobId, *, orders: int = 99) -> bool:
        """One run up to its transfers; it is killed after so many orders. Whether a volume is sent in full."""
        self.beta.left = orders
        guest = GUESTS[job.guest]
        others = OtherJobs(JOBS, GUESTS, self._known, self._lock, self._ended, self._keeps, self._inherit)
        neighbours = tuple(each for each in GUESTS.values() if each is not guest)
        context = RunContext(
            JOBS[job], guest, STORAGES, 60.0, Synced(), last_run_failed=False, neighbours=neighbours, others=others,
            inventory_cache=self.cache,
        )  # fmt: skip
        way = Direction(job, "alpha", "beta", fence=context.fence)
        found, on_target = self._found(job)
        alpha, beta = cast(ZfsClient, self.alpha), cast(ZfsClient, self.beta)
        take_over = TakeOver(context, alpha, beta, lambda _, text: self.log.append(text), lambda: 9.0)
        with suppress(Killed), self._lock(guest.id):
            await take_over.go_on(way, found, on_target, Synced(), self._remember)
            return await self._prepare(way)
        return False

    async def _prepare(self, way: Direction) -> bool:
        """Do the preparations of the transfers. Whether a volume is sent in full."""
        found, _ = self._found(way.job)
        plan = make_plan(way, found.volumes, found.orphans, found.diverged)
        for action in () if plan.conflicts else plan.actions:
            properties = {"zsr:source": "alpha", "zsr:job": str(way.job)}
            await prepare(action, cast(ZfsClient, self.beta), properties, 19.0, lambda *_: None, way.fence)
        return not all(isinstance(action, Incremental) for action in plan.actions)

    def places(self) -> dict[str, tuple[str | None, set[GuestId]]]:
        """The replicas with their job and their snapshots."""
        return {n: (e.job, {s.guid for s in e.snapshots}) for n, e in self.beta.datasets.items() if e.snapshots}


def moved_disk(place: str = "tank/vm-100-disk-0") -> Cluster:
    """A disk of the guest 200 that is guest 100's now; its replica is where it was."""
    volume = dataset(of(DB, 1), snap(5, "mine"), name=place)
    return Cluster(node("alpha", volume), node("beta", replica("tank/vm-200-disk-0", DB, 1)))


def swapped_disks() -> Cluster:
    """Two guests with each other's disk."""
    volumes = (dataset(of(DB, 1), name="tank/vm-100-disk-0"), dataset(of(WEB, 2), name="tank/vm-200-disk-0"))
    replicas = (replica("tank/vm-100-disk-0", WEB, 2), replica("tank/vm-200-disk-0", DB, 1))
    return Cluster(node("alpha", *volumes), node("beta", *replicas))


@pytest.mark.parametrize("orders", range(4))
@pytest.mark.parametrize("place", ["tank/vm-100-disk-0", "tank/more/vm-100-disk-0"])
async def test_wherever_a_run_dies_the_next_one_has_the_replica(orders: int, place: str) -> None:
    cluster = moved_disk(place)
    await cluster.run(WEB, orders=orders)
    assert not await cluster.run(WEB)
    assert cluster.places() == {place: (str(WEB), {1})}
    assert cluster.beta.datasets[place].epoch == "3"
    assert set(cluster.ended) == {DB}
    assert cluster.locked == set()


async def test_no_other_run_takes_the_replica_for_what_it_was_by_an_inventory_from_before() -> None:
    """The old job's run, which is due at the same time, would report that its volume is gone."""
    cluster = moved_disk()
    await cluster.cache.read(cast(ZfsClient, cluster.beta), "tank", since=0.0, sync=False)
    assert cluster.cache.has_fresh("beta", 0.0)
    await cluster.run(WEB)
    assert not cluster.cache.has_fresh("beta", 0.0)


async def test_what_this_node_brought_is_remembered_before_the_marks_change() -> None:
    cluster = moved_disk()
    await cluster.run(WEB, orders=0)
    assert cluster.synced.sets.inherited == {1}
    assert cluster.places() == {"tank/vm-200-disk-0": (str(DB), {1})}


async def test_what_the_other_job_wanted_to_keep_is_noted_before_the_marks_change() -> None:
    cluster = moved_disk()
    await cluster.run(WEB, orders=0)
    assert cluster.inherited == [(WEB, ("10",), 9.0)]


async def test_a_replica_on_a_storage_that_the_guest_has_not_is_found() -> None:
    beta = node("beta", replica("tank/more/vm-100-disk-0", WEB, 2))
    cluster = Cluster(node("alpha", dataset(of(WEB, 2), name="tank/vm-200-disk-0")), beta)
    assert not await cluster.run(DB)
    assert cluster.places() == {"tank/vm-200-disk-0": (str(DB), {2})}


@pytest.mark.parametrize(("first", "second"), list(itertools.product(range(6), range(5))))
async def test_swapped_disks_have_each_others_replica_wherever_runs_die(first: int, second: int) -> None:
    cluster = swapped_disks()
    await cluster.run(WEB, orders=first)
    await cluster.run(DB, orders=second)
    for _ in range(2):
        ends = [await cluster.run(WEB), await cluster.run(DB)]
    assert ends == [False, False]
    assert cluster.places() == {"tank/vm-100-disk-0": (str(WEB), {1}), "tank/vm-200-disk-0": (str(DB), {2})}


@pytest.mark.parametrize("job", [WEB, DB], ids=str)
async def test_while_the_other_guest_is_locked_nothing_changes_and_no_full_copy_begins(
    job: JobId, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two runs that want each other's guest, the one with the lower number waits so much longer that it gets it."""
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    cluster = swapped_disks()
    before = cluster.places()
    cluster.locked.add(200 if job is WEB else 100)
    with pytest.raises(BusyError, match="moved here from guest"):
        await cluster.run(job)
    assert cluster.places() == before
    assert sum(waited) == (LOCK_SECONDS_HIGHER if job is WEB else LOCK_SECONDS)
    assert LOCK_SECONDS_HIGHER > 2 * LOCK_SECONDS


async def test_nothing_more_is_listed_where_nothing_is_sent_in_full() -> None:
    own = replica("tank/vm-100-disk-0", WEB, 2)
    cluster = Cluster(node("alpha", dataset(of(WEB, 2), name="tank/vm-100-disk-0")), node("beta", own))
    assert not await cluster.run(WEB)
    cluster.alpha.datasets["tank/vm-100-disk-1"] = dataset(name="tank/vm-100-disk-1")
    assert await cluster.run(WEB)
    assert (cluster.alpha.asked, cluster.beta.asked) == ([], [])


async def test_a_source_that_cannot_be_read_proves_nothing() -> None:
    cluster = moved_disk()
    cluster.alpha.unreadable = True
    before = cluster.places()
    assert await cluster.run(WEB)
    assert cluster.places() == before
    assert "not known whether they moved" in cluster.log[0]


@pytest.mark.parametrize("name", ["tank/vm-200-disk-0", "tank/vm-200-disk-9"])
async def test_a_later_epoch_on_the_other_guests_datasets_keeps_its_replica(name: str) -> None:
    cluster = moved_disk()
    later = replace(dataset(name=name, job=str(DB), readonly=True), owner="gamma", epoch="7")
    cluster.beta.datasets[name] = replace(cluster.beta.datasets.get(name, later), owner="gamma", epoch="7")
    cluster.beta.stamps = [Stamped(name, "gamma", "7")]
    assert await cluster.run(WEB)
    assert cluster.beta.datasets["tank/vm-200-disk-0"].job == str(DB)


async def test_a_volume_that_came_with_the_later_epoch_of_its_old_guest_gets_its_new_one() -> None:
    volume = replace(dataset(of(WEB, 2), name="tank/vm-200-disk-0"), owner="alpha", epoch="3")
    cluster = Cluster(node("alpha", volume), node("beta", replica("tank/vm-100-disk-0", WEB, 2)))
    assert not await cluster.run(DB)
    assert cluster.alpha.datasets[volume.name].epoch == "1"
    assert cluster.beta.datasets[volume.name].epoch == "1"


@pytest.mark.parametrize(
    ("change", "newest", "bears"),
    [
        ({}, of(DB, 4), True),
        ({"epoch": "2"}, of(DB, 4), False),
        ({"owner": "gamma"}, of(DB, 4), False),
        ({}, of(WEB, 4), False),
        ({}, snap(4, "mine"), False),
        ({"name": "tank/vm-200-disk-0"}, of(DB, 4), False),
    ],
    ids=["moved", "another epoch", "another owner", "own set", "no set", "not moved"],
)
def test_stamps_are_another_guests_only_if_all_says_so(
    change: dict[str, str], newest: Snapshot, *, bears: bool
) -> None:
    facts = {"name": "tank/vm-100-disk-0", "owner": "alpha", "epoch": "1", **change}
    volume = replace(dataset(of(WEB, 2) if newest.job == WEB else snap(2, "old"), newest), **facts)  # type: ignore[arg-type]
    others = OtherJobs(
        JOBS, GUESTS, Cluster(node("a"), node("b"))._known, lambda _: nullcontext(), lambda *_: asyncio.sleep(0),
        Cluster(node("a"), node("b"))._keeps, lambda *_: asyncio.sleep(0),
    )  # fmt: skip
    assert bears_others_stamps(WAY, others, STORAGES, volume) is bears
    assert not bears_others_stamps(WAY, None, STORAGES, volume)
