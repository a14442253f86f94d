"""The played nodes of a fleet on a virtual clock: their ZFS, their clocks, and what a run does to both sides.

Everything else is the real daemon: it reads these nodes through `PlayedNodes`, and its runs are `PlayedRun`.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, cast

from replicator.config.ssh import SshSettings
from replicator.errors import NetworkError, ZfsError
from replicator.hosts.hook_unit import HookUnit
from replicator.models import Guest, GuestId, Job, JobId, Synced
from replicator.replication.context import RunContext, RunResult
from replicator.replication.progress import Progress, Step
from replicator.zfs.client import ZfsClient
from replicator.zfs.model import Dataset, Inventory, Snapshot
from replicator.zfs.node_clients import Nodes
from replicator.zfs.snapshot_names import snapshot_name

STORAGE = "rpool/data"
SIZE, FREE = 10**12, 6 * 10**11
TICK = 20.0
"""Seconds between two looks of a transfer at the network."""


@dataclass(frozen=True, slots=True)
class Copy:
    """What a node holds of a guest for another: the job that made it, its source, the time of its newest set."""

    job: JobId
    source: str
    newest: int


@dataclass
class World:
    """All nodes. ``clock`` is the true time (unix seconds); ``steps`` are what each node's own clock is ahead of it.

    ``seconds`` is how long a run of a job takes, ``first_seconds`` its first copy; ``idle`` guests write nothing; the
    next run of a job in ``faults`` fails, and all runs of one in ``broken``; a node in ``silent`` does not answer.
    """

    clock: Callable[[], float]
    guests: dict[GuestId, Guest] = field(default_factory=dict)
    jobs: dict[JobId, Job] = field(default_factory=dict)
    nodes: tuple[str, ...] = ()
    steps: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    seconds: Callable[[JobId], float] = lambda _: 5.0
    first_seconds: Callable[[JobId], float] = lambda _: 30.0
    idle: set[GuestId] = field(default_factory=set)
    faults: set[JobId] = field(default_factory=set)
    broken: set[JobId] = field(default_factory=set)
    silent: set[str] = field(default_factory=set)
    copies: dict[tuple[str, GuestId], Copy] = field(default_factory=dict)
    marks: dict[JobId, int] = field(default_factory=dict)
    runs: int = 0
    failures: int = 0

    def clock_of(self, node: str) -> Callable[[], float]:
        """The clock of a node."""
        return lambda: self.clock() + self.steps[node]

    def toml(self) -> str:
        """The cluster file."""
        lines = [f'[storages.local-zfs]\npath = "{STORAGE}"']
        lines += [f'[nodes.{name}]\naddress = "10.0.0.{number}"' for number, name in enumerate(self.nodes, start=1)]
        lines += [
            f'[guests.{guest.id}]\nnode = "{guest.node}"\nname = "{guest.name}"\nepoch = {guest.epoch}'
            for guest in self.guests.values()
        ]
        for job in self.jobs.values():
            lines.append(f'[jobs.{job.id}]\ntarget = "{job.target}"\nschedule = "{job.schedule}"')
            lines += [f'rpo = "{job.rpo:.0f}s"'] if job.rpo is not None else []
            lines += [f'removal = "{job.removal}"'] if job.removal is not None else []
        return "\n".join(lines) + "\n"

    def move(self, guest_id: GuestId, node: str) -> None:
        """Move a guest to the target of one of its jobs, as ``zsr move`` leaves it: that job is turned."""
        guest = self.guests[guest_id]
        self.guests[guest_id] = replace(guest, node=node, epoch=guest.epoch + 1)
        last = self.copies.pop((node, guest_id))
        for job in [each for each in self.jobs.values() if each.id.guest == guest_id and each.target == node]:
            self.jobs[job.id] = replace(job, target=guest.node)
            self.copies[guest.node, guest_id] = Copy(job.id, node, last.newest)

    def written(self, guest: GuestId, job: JobId) -> int:
        """Bytes that a guest has written since a job's newest set."""
        return 0 if guest in self.idle else int(50_000 * max(0.0, self.clock() - self.marks.get(job, 0)))

    def inventory(self, node: str) -> Iterator[Dataset]:
        """The datasets of a node."""
        for guest in self.guests.values():
            if guest.node == node:
                own = [job for job in self.jobs if job.guest == guest.id and job in self.marks]
                sets = sorted((self.marks[job], job) for job in own)
                written = min((self.written(guest.id, job) for job in own), default=10**9)
                yield _volume(guest.id, tuple(_snapshot(job, at) for at, job in sets), written=written)
        for (where, guest_id), copy in self.copies.items():
            if where == node:
                found = _volume(guest_id, (_snapshot(copy.job, copy.newest),), written=0)
                yield replace(found, job=str(copy.job), source=copy.source, readonly=True, used=5 << 30)


def _snapshot(job: JobId, at: int) -> Snapshot:
    return Snapshot(snapshot_name(job, at), at * 1000 + int(job.guest), at, at, written=0)


def _volume(guest: GuestId, snapshots: tuple[Snapshot, ...], *, written: int) -> Dataset:
    return Dataset(f"{STORAGE}/vm-{guest}-disk-0", True, int(guest), snapshots, written=written)


@dataclass(frozen=True, slots=True)
class PlayedClient:
    """The ZFS of a node, as the daemon asks for it."""

    world: World
    node: str

    @property
    def host(self) -> PlayedClient:
        """Its host."""
        return self

    async def probe(self) -> None:
        """Connect."""
        if self.node in self.world.silent:
            raise NetworkError(f"Node {self.node} does not answer.", node=self.node)

    async def close(self) -> None:
        """Disconnect."""

    async def features(self) -> Any:
        """The version of its ZFS."""
        return cast(Any, type("Features", (), {"version": "2.3.2"}))

    async def inventory(self, path: str, *, depth: int, bookmarks: bool = False) -> Inventory:
        """What is below the storage."""
        return Inventory({each.name: each for each in self.world.inventory(self.node)})

    async def space(self, pools: Collection[str]) -> dict[str, tuple[int, int]]:
        """The used and free bytes of each pool."""
        return dict.fromkeys(pools, (SIZE - FREE, FREE))


class PlayedNodes(Nodes):
    """Connections to played nodes."""

    def __init__(self, world: World, here: str, ssh: SshSettings, *, limit: float, clock: Callable[[], float],
                 may_destroy: Callable[[], bool], hooks: HookUnit | None = None) -> None:  # fmt: skip
        del hooks  # no unit of systemd is played
        super().__init__(here, ssh, limit=limit, clock=clock, may_destroy=may_destroy)
        self._world = world

    def client(self, name: str) -> ZfsClient:
        return cast(ZfsClient, PlayedClient(self._world, name))


async def played_skew(client: PlayedClient, clock: Callable[[], float]) -> float:
    """By how much a node's clock is ahead, instead of `replicator.zfs.clock_skew`."""
    return client.world.clock_of(client.node)() - clock()


class PlayedRun:
    """One run, instead of `replicator.replication.run.Run`: it takes its time, and moves what both sides hold."""

    def __init__(self, context: RunContext, source: PlayedClient, target: PlayedClient, **around: Any) -> None:
        self._context, self._source, self._target = context, source, target
        self._world = source.world
        self._progress: Progress = around["progress"]
        self._recorder, self._clock = around["recorder"], around["clock"]

    async def execute(self) -> RunResult:
        """Look, transfer, prove, remember."""
        world, job, node = self._world, self._context.job, self._target.node
        world.runs += 1
        await self._progress.begin(Step.LOOK)
        await self._wait(0.5)
        if job.id in world.faults | world.broken:
            world.faults.discard(job.id)
            world.failures += 1
            raise ZfsError("zfs receive ended with status 1.", node=node)
        copy = world.copies.get((node, job.id.guest))
        full = copy is None or job.id not in world.marks
        if full and copy is None:
            await self._context.begin_full_copy()
        now = self._clock()
        taken, size = int(now), 10**9 if full else world.written(job.id.guest, job.id)
        if size:
            await self._send(size, world.first_seconds(job.id) if full and copy is None else world.seconds(job.id))
            world.copies[node, job.id.guest] = Copy(job.id, self._source.node, taken)
            world.marks[job.id] = taken
        known = world.marks[job.id]
        await self._progress.begin(Step.REMEMBER)
        await self._recorder.synced(Synced(float(taken), known))
        return RunResult(float(taken), size, 0)

    async def _send(self, size: int, seconds: float) -> None:
        await self._progress.begin(Step.TRANSFER)
        self._progress.transferring, self._progress.expected_bytes = True, size
        passed = 0.0
        while passed < seconds:
            step = min(TICK, seconds - passed)
            await self._wait(step)
            passed += step
            self._progress.done_bytes = self._progress.sent_bytes = int(size * passed / seconds)
        self._progress.transferring = False

    async def _wait(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        if self._target.node in self._world.silent:
            self._world.failures += 1
            raise NetworkError(f"Node {self._target.node} does not answer on port 22.", node=self._target.node)


async def played_removal(job: Job, storages: Any, source: PlayedClient, target: Any, *rest: Any, **more: Any) -> None:
    """Destroy a job's replica, instead of `replicator.replication.removal.remove`."""
    world = source.world
    world.copies.pop((job.target, job.id.guest), None)
    world.marks.pop(job.id, None)
    world.jobs.pop(job.id, None)
