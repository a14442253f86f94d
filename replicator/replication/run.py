"""One run of one job: look, snapshot, plan, transfer, prove, remember, tidy (DESIGN 4), as one readable function.

A run may die between any two steps. Each step therefore only needs what ZFS itself remembers, and the next run
converges from there. The look at the source and the snapshot are one transaction where ZFS can, so that what the plan
knows of written bytes is what the snapshot holds; a run that has reason for doubt looks at everything before that.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from replicator.common.tasks import gather_two, result_or_error
from replicator.errors import (
    ConnectionLostError,
    DivergedError,
    ErrorClass,
    InternalError,
    StorageMissingError,
    ZsrError,
)
from replicator.hosts.stream import Limits
from replicator.models import RATE_UNIT, Synced
from replicator.replication.context import RunContext, RunRecorder, RunResult
from replicator.replication.discovery import (
    ASIDE_DEPTH,
    Discovered,
    TargetInventory,
    guest_storages,
    look_depth,
    pair_volumes,
    source_inventory,
    target_inventory,
)
from replicator.replication.ownership import Direction, is_marked
from replicator.replication.plan import (
    Conflict,
    Full,
    Incremental,
    Plan,
    TagForeignSnapshots,
    VolumePair,
    choose_base,
    held_on_target,
    left_on_target,
    make_plan,
    refuse_foreign,
    set_aside,
)
from replicator.replication.prepare_target import prepare
from replicator.replication.progress import Progress, Step
from replicator.replication.snapshot_sets import (
    arrived,
    is_unchanged,
    newest_whole_set,
    proven_set,
    settled_claim,
    stale_on_source,
    stale_on_target,
    times_on,
    unproven,
    unreplicated_bytes,
    with_taken,
    without_taken,
)
from replicator.replication.snapshotting import SnapshotResult, SnapshotTaker
from replicator.replication.transfer import Log, Transfers
from replicator.replication.verification import TargetVerification, attempt, purge_marks
from replicator.schedule.retention import RetentionPolicy
from replicator.zfs.client import ZfsClient
from replicator.zfs.model import Dataset, Inventory
from replicator.zfs.snapshot_names import snapshot_name


class Run:
    """One attempt of one job."""

    def __init__(
        self,
        context: RunContext,
        source: ZfsClient,
        target: ZfsClient,
        *,
        progress: Progress,
        log: Log,
        memory: RunRecorder,
        clock: Callable[[], float],
    ) -> None:
        self.progress = progress
        self._context = context
        self._job = context.job
        self._synced = context.remembered
        self._source = source
        self._target = target
        self._log = log
        self._memory = memory
        self._clock = clock
        self._taking = SnapshotTaker(
            self._job.id, context.guest, context.storages, source, log, clock, self._about_to_take
        )
        rate = None if self._job.rate is None else self._job.rate * RATE_UNIT
        limits = Limits(rate, context.stall_timeout)
        self._transfers = Transfers(self._job, source, target, limits, self.progress, log)

    async def execute(self) -> RunResult:
        """Do the run.

        Raises:
            ZsrError: of the class that DESIGN 7 names; the next run goes on from wherever this one stopped.
        """
        await self.progress.begin(Step.LOOK)
        with contextlib.suppress(ConnectionLostError):
            if (seen := await self._unchanged_since()) is not None:
                return await self._nothing_changed(*seen)
        if not await self._is_trusted():
            return await self._look_and_send(await self._look_there())
        there, taken = await self._look_and_take()
        try:
            found = self._pair(taken.here, there)
        except ZsrError:
            await self._take_back(taken)
            raise
        if not self._is_as_remembered(found):
            await self._take_back(taken)
            return await self._look_and_send(there)
        if not taken.made:
            if is_unchanged(self._way(), found.volumes, self._synced.last_set):
                self._synced = without_taken(self._synced, taken.set_time)
                return await self._nothing_changed(taken.at, found.orphans)
            taken = await self._taking.take((), self._synced, if_changed=False)
        return await self._send(taken, there)

    async def _look_and_send(self, there: TargetInventory) -> RunResult:
        """The run of a job in doubt: everything is looked at before anything is done."""
        at = self._clock()
        found, there = await self._look_before(there)
        if is_unchanged(self._way(), found.volumes, self._synced.last_set):
            synced = replace(self._synced, last_sync=at)
            self._log("info", f"nothing was written since the set {synced.last_set}")
            return await self._conclude(found.volumes, synced, found.orphans)
        await self.progress.begin(Step.SNAPSHOT)
        return await self._send(await self._taking.take(found.volumes, self._synced, if_changed=False), there)

    async def _look_and_take(self) -> tuple[TargetInventory, SnapshotResult]:
        """Look at the target while the source is looked at and its snapshot taken: neither needs the other."""
        await self.progress.begin(Step.SNAPSHOT)
        there, taken = await gather_two(
            result_or_error(self._look_there()), result_or_error(self._taking.take((), self._synced, if_changed=True))
        )
        if isinstance(taken, ZsrError):
            raise taken
        if isinstance(there, ZsrError):
            await self._take_back(taken)
            raise there
        return there, taken

    async def _take_back(self, taken: SnapshotResult) -> None:
        if taken.made:
            await self._taking.take_back(taken.name)

    # --- look

    async def _unchanged_since(self) -> tuple[float, tuple[Dataset, ...]] | None:
        """Return the moment of a shared look that finds nothing changed, and replicas without a volume.

        None: this run has to look for itself.
        """
        inventory_cache, guest, storages = self._context.inventory_cache, self._context.guest, self._context.storages
        due = self._context.due
        if inventory_cache is None or self._context.last_run_failed or not (await self._source.features()).programs:
            return None
        ours: dict[str, Dataset] = {}
        theirs: dict[str, Inventory | StorageMissingError] = {}
        at = self._clock()
        for storage in guest_storages(guest, storages, self._source.node):
            depth = max(look_depth(guest, storage), ASIDE_DEPTH)
            here = await inventory_cache.look(
                self._source, storage.path_on(self._source.node), depth, since=due, sync=True
            )
            if here.inventory is None or not storage.allowed_on(self._target.node):
                return None
            there = await inventory_cache.look(
                self._target, storage.path_on(self._target.node), depth, since=due, sync=False
            )
            ours |= here.inventory.datasets
            theirs[storage.name] = there.inventory or Inventory()
            at = min(at, here.at)
        found = self._pair(Inventory(ours), TargetInventory(theirs))
        whole = is_unchanged(self._way(), found.volumes, self._synced.last_set)
        return (at, found.orphans) if whole and at >= (self._synced.last_sync or 0) else None

    async def _look_there(self) -> TargetInventory:
        job, guest, storages = self._job, self._context.guest, self._context.storages
        try:
            return await target_inventory(job, guest, storages, self._source.node, self._target)
        except ConnectionLostError:  # it was kept since the last run, and the node was started anew since
            return await target_inventory(job, guest, storages, self._source.node, self._target)

    async def _look_here(self) -> Inventory:
        if (await self._source.features()).programs:
            for pool in self._taking.pools:
                await self._source.sync(pool)
        return await source_inventory(self._context.guest, self._context.storages, self._source)

    def _pair(self, here: Inventory, there: TargetInventory) -> Discovered:
        nodes = (self._source.node, self._target.node)
        return pair_volumes(self._job, self._context.guest, self._context.storages, nodes, here, there)

    async def _is_trusted(self) -> bool:
        """Whether the source's snapshot may be taken before the target was looked at."""
        guest = self._context.guest
        return (
            not self._context.last_run_failed
            and self._synced.last_set is not None
            and guest.freeze is None
            and guest.thaw is None
            and len(self._taking.pools) == 1
            and (await self._source.features()).programs
        )

    def _is_as_remembered(self, found: Discovered) -> bool:
        """Return whether the volumes' replicas are those that last sync was proven with, and none is half received."""
        way = self._way()
        replicas = [pair.target for pair in found.volumes if pair.target is not None]
        return bool(replicas) and all(
            is_marked(way, replica)
            and max(times_on(self._job.id, replica), default=None) == self._synced.last_set
            and not replica.token
            for replica in replicas
        )

    def _way(self, *, marks_late: bool = False) -> Direction:
        return Direction(self._job.id, self._source.node, self._target.node, self._synced.sets, marks_late)

    async def _look_before(self, there: TargetInventory) -> tuple[Discovered, TargetInventory]:
        """Look at both sides, finish what was cut off, and raise what is in conflict before anything is changed.

        Returns both sides put together, and what the target has after that.
        """
        if await self._target.end_stale_receives(self._job.id, self._source.node):
            self._log("warning", "a receive that an earlier run left behind was ended on the target")
            there = await self._look_there()
        here = await self._look_here()
        found = self._pair(here, there)
        self._log("info", f"volumes: {', '.join(str(pair.volume) for pair in found.volumes)}")
        if _has_tokens(found):
            refuse_foreign(self._way(marks_late=await self._marks_late()), found.volumes)
            await self.progress.begin(Step.RESUME)
            await self._memory.resume_pending(True)
            await self._transfers.finish_half_received(found.volumes)
            there = await self._look_there()
            found = self._pair(here, there)
        await self._memory.resume_pending(False)
        plan = await self._judge(found)
        await self._claim(plan, found.aside)
        await self._forget_unproven(plan)
        return found, there

    async def _judge(self, found: Discovered) -> Plan:
        way = self._way(marks_late=await self._marks_late())
        plan = make_plan(way, found.volumes, found.orphans, found.aside)
        for conflict in plan.conflicts:
            self._log("error", f"{conflict.pair.volume}: {conflict.error}")
        if plan.conflicts:
            raise plan.conflicts[0].error
        for action in plan.actions:
            self._transfers.is_raw(action)  # raises before anything is changed
        return plan

    async def _marks_late(self) -> bool:
        return not (await self._target.features()).receive_properties

    async def _claim(self, plan: Plan, aside: Sequence[Dataset]) -> None:
        """Claim no more than what the target holds; what it keeps aside when it is made ready counts."""
        volumes = [held_on_target(action, aside) for action in plan.actions]
        held = newest_whole_set(self._job.id, volumes, self._synced.sets)
        claim = settled_claim(self._synced, held, self._clock())
        if claim != self._synced:
            await self._remember(claim)

    async def _forget_unproven(self, plan: Plan) -> None:
        """Destroy what runs that failed left on both sides, or it would pile up while one volume cannot be sent."""
        known = self._synced.sets
        for action in plan.actions:
            base = action.base.name if isinstance(action, Incremental) else ""
            here = stale_on_source(self._job.id, action.pair.source, {base}, known)
            there = unproven(self._job.id, left_on_target(action).target, known, base)
            for client, name, stale in (
                (self._source, action.pair.source.name, here),
                (self._target, action.pair.target_name, [] if action.preparations else there),
            ):
                if stale:
                    await attempt(client.destroy_snapshots(name, stale), self._log)
            await purge_marks(self._job.id, action.pair, base, self._source, self._log)

    async def _nothing_changed(self, at: float, orphans: Sequence[Dataset]) -> RunResult:
        await self.progress.begin(Step.REMEMBER)
        await self._remember(replace(self._synced, last_sync=at))
        await self._report_vanished(orphans)
        self._log("info", f"nothing was written since the set {self._synced.last_set}, which is on {self._target.node}")
        return RunResult(at, 0, 0)

    # --- transfer, proof and what follows

    async def _send(self, taken: SnapshotResult, there: TargetInventory) -> RunResult:
        await self.progress.begin(Step.PLAN)
        try:
            found = self._pair(taken.here, there)
            if any(s.target is None or choose_base(s.source, s.target) is None for s in found.volumes):
                found = self._pair(await self._look_here(), there)  # a bookmark may be the base
            plan = await self._judge(found)
        except ZsrError:
            await self._take_back(taken)
            raise
        await self._claim(plan, found.aside)
        await self._transfer_all(plan.actions, taken.name)
        done = [arrived(action, taken.name, self._job.snapshots) for action in plan.actions]
        synced = proven_set(self._synced, min(float(taken.set_time), taken.at), taken.set_time, done)
        return await self._conclude(done, synced, plan.orphans)

    async def _conclude(self, volumes: Sequence[VolumePair], synced: Synced, orphans: Sequence[Dataset]) -> RunResult:
        """Prove a set, remember it, and destroy what it makes stale."""
        name = snapshot_name(self._job.id, synced.last_set or 0)
        proof = TargetVerification(self._job.id, name, synced.sets, self._source, self._target, self._log)
        await self.progress.begin(Step.PROVE)
        stale = stale_on_target(self._job.id, RetentionPolicy.parse(self._job.keep), volumes, name, self._clock())
        await proof.on_target(volumes, stale, self._datasets_there)
        await self.progress.begin(Step.REMEMBER)
        await self._remember(synced)
        self._log("info", f"proven on {self._target.node}; the set is {synced.last_set}")
        await self.progress.begin(Step.TIDY)
        await proof.on_source(volumes)
        await self._report_vanished(orphans)
        left = [unreplicated_bytes(pair.source, pair.source.named(name)) for pair in volumes]
        return RunResult(synced.last_sync or 0.0, self.progress.sent_bytes, _sum(left))

    async def _remember(self, synced: Synced) -> None:
        self._synced = synced
        await self._memory.synced(synced)

    async def _about_to_take(self, set_time: int) -> None:
        await self._remember(with_taken(self._synced, set_time))

    async def _report_vanished(self, orphans: Sequence[Dataset]) -> None:
        """Report the replicas whose volume is gone from the source; they stay."""
        for orphan in orphans:
            gone = f"'{orphan.name}' on {self._target.node}: its volume is gone from the source; the replica is kept"
            self._log("warning", gone)
        await self._memory.vanished(sorted(orphan.name for orphan in orphans))

    async def _datasets_there(self) -> dict[str, Dataset]:
        there = await self._look_there()
        found = [inventory for inventory in there.inventories.values() if isinstance(inventory, Inventory)]
        return {name: dataset for inventory in found for name, dataset in inventory.datasets.items()}

    async def _transfer_all(self, actions: Iterable[Full | Incremental], name: str) -> None:
        """Every volume: one that cannot be sent does not keep the others from being brought over."""
        failures: list[ZsrError] = []
        for action in actions:
            try:
                await self._transfer(action, name)
            except ZsrError as error:
                failures.append(error)
                if error.error_class in (ErrorClass.NETWORK, ErrorClass.AUTH, ErrorClass.TIMEOUT):
                    break
                self._log("error", f"{action.pair.volume}: {error.what}")
        if failures:
            raise failures[0]

    async def _transfer(self, action: Full | Incremental, name: str) -> None:
        """One volume; a replica that receive finds written to is kept aside, and received into anew."""
        await self._prepare(action)
        await self.progress.begin(Step.TRANSFER)
        try:
            await self._transfers.send(action, name)
        except DivergedError as error:
            plain = all(isinstance(step, TagForeignSnapshots) for step in action.preparations)
            if action.pair.target is None or not plain or not isinstance(action, Incremental):
                raise
            self._log("warning", error.what)
            instead = set_aside(action.pair, action.base)
            if isinstance(instead, Conflict):
                raise instead.error from error
            if not isinstance(instead, Incremental):
                raise InternalError("A replica is put aside by an increment.") from error
            await self._prepare(instead)
            await self._transfers.send(instead, name)

    async def _prepare(self, action: Full | Incremental) -> None:
        if action.preparations:
            await self.progress.begin(Step.ASIDE)
            properties = self._transfers.replica_properties(action.pair.source)
            await prepare(action, self._target, properties, self._clock(), self._log)


def _has_tokens(found: Discovered) -> bool:
    return any(pair.target is not None and pair.target.token for pair in found.volumes)


def _sum(parts: Iterable[int | None]) -> int | None:
    known = list(parts)
    return None if any(part is None for part in known) else sum(part for part in known if part is not None)
