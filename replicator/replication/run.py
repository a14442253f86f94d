"""One run of one job: look, plan, snapshot, transfer, prove, remember, tidy (DESIGN 4), as one readable function.

A run may die between any two steps. Each step therefore only needs what ZFS itself remembers, and the next run
converges from there: a half-received state is gone on with, snapshots of a dead run are tidied, and last sync moves
only after every volume's GUID was read back from the target.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

from replicator.errors import BusyError, ErrorClass, ZfsError, ZsrError
from replicator.hosts.stream import Limits
from replicator.jobs import RATE_UNIT, Guest, Job, Storage
from replicator.replication.hooks import frozen
from replicator.replication.look import Found, look
from replicator.replication.plan import (
    Plan,
    Sides,
    make_plan,
    proven_sync,
    stale_on_source,
    stale_on_target,
    unreplicated_bytes,
)
from replicator.replication.progress import Progress, Step
from replicator.replication.transfer import Log, Transfers
from replicator.zfs.client import ZfsClient
from replicator.zfs.facts import Dataset, Snapshot, snapshot_name


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a run is to do: the job, its guest, the storages of the cluster, and the seconds of a stall."""

    job: Job
    guest: Guest
    storages: tuple[Storage, ...]
    stall_timeout: float


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a successful run achieved; ``sent_bytes`` is what went through the stream."""

    last_sync: int
    sent_bytes: int
    unreplicated_bytes: int | None


class Run:
    """One attempt. ``remember`` must have made last sync durable when it returns (None: nothing is on the target)."""

    def __init__(
        self,
        assignment: Assignment,
        source: ZfsClient,
        target: ZfsClient,
        *,
        progress: Progress,
        log: Log,
        remember: Callable[[int | None], Awaitable[None]],
        clock: Callable[[], float],
    ) -> None:
        self.progress = progress
        self._assignment = assignment
        self._job = assignment.job
        self._source = source
        self._target = target
        self._log = log
        self._remember = remember
        self._clock = clock
        rate = None if self._job.rate is None else self._job.rate * RATE_UNIT
        limits = Limits(rate, assignment.stall_timeout)
        self._transfers = Transfers(self._job, source, target, limits, self.progress, log)

    async def execute(self) -> RunResult:
        """Do the run.

        Raises:
            ZsrError: of the class that DESIGN 7 names; the next run goes on from wherever this one stopped.
        """
        found = await self._look()
        plan = await self._plan(found)
        name, time = self._name_snapshot(found.volumes)
        await self._snapshot(found.volumes, name)
        for action in plan.actions:
            await self.progress.begin(Step.TRANSFER)
            await self._transfers.send(action, name)
        proven = await self._prove(found.volumes, name)
        await self.progress.begin(Step.REMEMBER)
        await self._remember(time)
        self._log("info", f"proven on {self._target.node}; last sync is now {time}")
        await self._tidy(proven, plan.orphans, name)
        left = [unreplicated_bytes(sides.source, _guid(sides.source, name)) for sides in proven]
        return RunResult(time, self.progress.sent_bytes, _sum(left))

    async def _look(self) -> Found:
        await self.progress.begin(Step.LOOK)
        found = await self._find()
        self._log("info", f"volumes: {', '.join(str(sides.volume) for sides in found.volumes)}")
        if any(sides.target is not None and sides.target.token for sides in found.volumes):
            await self.progress.begin(Step.RESUME)
            found = await self._resume(found)
        proof = proven_sync(self._job.id, found.volumes)
        if proof is not None:
            await self._remember(proof.last_sync)
        return found

    async def _resume(self, found: Found) -> Found:
        """Go on with what was cut; once more if a receive that hung there since had to be ended first."""
        try:
            await self._transfers.finish_half_received(found.volumes)
        except BusyError as error:
            self._log("warning", f"{error.what} A receive that an earlier run left behind was ended there.")
            await self._transfers.finish_half_received((await self._find()).volumes)
        return await self._find()

    async def _find(self) -> Found:
        return await look(self._job, self._assignment.guest, self._assignment.storages, self._source, self._target)

    async def _plan(self, found: Found) -> Plan:
        await self.progress.begin(Step.PLAN)
        plan = make_plan(self._job.id, found.volumes, found.orphans)
        for conflict in plan.conflicts:
            self._log("error", f"{conflict.sides.volume}: {conflict.error}")
        if plan.conflicts:
            raise plan.conflicts[0].error
        return plan

    def _name_snapshot(self, volumes: Sequence[Sides]) -> tuple[str, int]:
        """A name that no volume has, also when the clock went backwards."""
        taken = [s.set_time or 0 for v in volumes for s in v.source.snapshots if s.job == self._job.id]
        time = max([int(self._clock()), *(earlier + 1 for earlier in taken)])
        return snapshot_name(self._job.id, time), time

    async def _snapshot(self, volumes: Sequence[Sides], name: str) -> None:
        await self.progress.begin(Step.SNAPSHOT)
        pools: dict[str, list[str]] = defaultdict(list)
        for sides in volumes:
            pools[sides.source.name.partition("/")[0]].append(f"{sides.source.name}@{name}")
        try:
            async with frozen(self._assignment.guest, self._source.host, self._log):
                for names in pools.values():
                    await self._source.snapshot(names)
        except ZsrError:
            await self._forget_snapshot(volumes, name)
            raise
        self._log("info", f"snapshot {name}")

    async def _forget_snapshot(self, volumes: Iterable[Sides], name: str) -> None:
        """Take back a set of which not all could be made; what remains is tidied by the next run."""
        made = Snapshot(name, 0, 0, 0)
        for sides in volumes:
            try:
                await self._source.destroy_snapshots(sides.source, [made])
            except ZsrError as error:
                self._log("warning", f"{sides.volume}: {error.what}")

    async def _prove(self, volumes: Sequence[Sides], name: str) -> tuple[Sides, ...]:
        """Read the GUIDs of the new snapshots on both sides; only equal ones count.

        Raises:
            ZfsError: a volume's new snapshot is not on the target.
        """
        await self.progress.begin(Step.PROVE)
        found = {sides.volume: sides for sides in (await self._find()).volumes}
        for volume in (sides.volume for sides in volumes):
            sides = found.get(volume)
            new = sides.source.named(name) if sides else None
            if sides is None or new is None or sides.target is None or sides.target.by_guid(new.guid) is None:
                raise ZfsError(
                    f"Volume {volume}: the snapshot {name} could not be proven on node {self._target.node}.",
                    node=self._target.node,
                    volume=str(volume),
                )
        return tuple(found[sides.volume] for sides in volumes)

    async def _tidy(self, proven: Sequence[Sides], orphans: Sequence[Dataset], name: str) -> None:
        """Destroy what nobody needs any more; a failure is a warning, and the next run does it again."""
        await self.progress.begin(Step.TIDY)
        job = self._job.id
        for sides in proven:
            if sides.target is None:
                continue
            await self._try(self._source.destroy_snapshots(sides.source, stale_on_source(job, sides.source, name)))
            stale = stale_on_target(job, sides.target, sides.source, name)
            await self._try(self._target.destroy_snapshots(sides.target, stale))
        for orphan in orphans:
            self._log("info", f"{orphan.name}: its volume is gone from the source; the replica is destroyed")
            await self._try(self._target.destroy_replica(orphan.name, str(job)))

    async def _try(self, step: Awaitable[None]) -> None:
        try:
            await step
        except ZsrError as error:
            if error.error_class in (ErrorClass.NETWORK, ErrorClass.AUTH):
                self._log("warning", f"tidying is put off: {error.what}")
            else:
                self._log("warning", error.what)
            if error.raw:
                self._log("raw", error.raw)


def _guid(dataset: Dataset, name: str) -> int | None:
    snapshot = dataset.named(name)
    return snapshot.guid if snapshot else None


def _sum(parts: Iterable[int | None]) -> int | None:
    known = list(parts)
    return None if any(part is None for part in known) else sum(part for part in known if part is not None)
