"""One run of one job, step by step: look, snapshot, plan, transfer, verify, remember, prune (contract: One run).

A run may die between any two steps. Each step therefore relies only on what ZFS itself keeps, and the next run goes on
from there. Where ZFS can, one transaction lists the source and takes the snapshot, so that the written bytes that the
plan works with are those in the snapshot; a run with a reason for doubt looks at everything before that.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace

from replicator.common.tasks import gather_two, result_or_error
from replicator.errors import ConnectionLostError, SupersededError, ZsrError
from replicator.models import Synced, TargetPlace
from replicator.replication.aging_asides import age_asides, aside_terms, decide_asides, waiting
from replicator.replication.context import RunContext, RunRecorder, RunResult, may_snapshot_first
from replicator.replication.destruction import decide_superseded
from replicator.replication.discovery import Discovered, TargetInventory
from replicator.replication.file_keeper import FileKeeper
from replicator.replication.foreign_names import giving_way
from replicator.replication.former_jobs import destroy_left_behind
from replicator.replication.gone_snapshots import mirrored
from replicator.replication.grace_ends import Graces
from replicator.replication.inventories import CachedPairs, Inventories
from replicator.replication.keys import any_new_key, check_keys, with_unknown_salt
from replicator.replication.left_behind import destroy_unproven
from replicator.replication.plan import Plan, VolumePair, make_plan, needs_bookmarks, refuse_foreign
from replicator.replication.progress import Log, Progress, Step
from replicator.replication.provenance import Direction, never_whole
from replicator.replication.resume import HalfReceived
from replicator.replication.snapshot_sets import (
    arrived,
    claim_of,
    described_unknown,
    is_as_remembered,
    is_unchanged,
    noting_sent,
    proven_set,
    received_replica,
    sum_if_known,
    unreplicated_bytes,
    with_taken,
    without_sent,
    without_taken,
)
from replicator.replication.snapshotting import SnapshotResult, SnapshotTaker
from replicator.replication.source_changes import report_source_changes
from replicator.replication.stamps import Stamps
from replicator.replication.take_over import TakeOver
from replicator.replication.target_place import (
    Sight,
    at_place,
    claim_on_other_target,
    compare,
    described,
    is_edited,
    place_of,
    seen_storages,
)
from replicator.replication.transfer import Transfers
from replicator.replication.verification import TargetVerification
from replicator.zfs.channel_programs import ReceivedReplica
from replicator.zfs.client import ZfsClient
from replicator.zfs.model import Dataset, Inventory
from replicator.zfs.snapshot_names import snapshot_name


class Run:
    """One attempt of one job. `execute` chooses the kind of run; the methods below follow its steps in their order."""

    def __init__(
        self,
        context: RunContext,
        source: ZfsClient,
        target: ZfsClient,
        *,
        progress: Progress,
        log: Log,
        recorder: RunRecorder,
        clock: Callable[[], float],
    ) -> None:
        self.progress = progress
        self._context = context
        self._job = context.job
        self._synced = context.remembered
        self._source = source
        self._target = target
        self._log = log
        self._recorder = recorder
        self._clock = clock
        self._inventories = Inventories(context, source, target, clock)
        self._place: TargetPlace | None = None
        self._take_over = TakeOver(context, source, target, log, clock)
        self._files = FileKeeper(self._job.id, context.guest, context.guest_files, source, target, log, clock)
        self._snapshots = SnapshotTaker(
            self._job.id, context.guest, context.storages, source, log, clock, self._remember_taken, recorder.hooks,
            bookmarks=context.bookmarks, fence=context.fence, travels=context.travels, after=self._files.read,
        )  # fmt: skip
        self._stamps = Stamps(context.fence, context.storages, source, target, log, context.others)
        limits = context.limits
        self._transfers = Transfers(self._job, source, target, limits, self.progress, log, clock, fence=context.fence)

    async def execute(self) -> RunResult:
        """Do the run.

        Raises:
            ZsrError: of the failure's class (contract: Errors); the next run continues where this one stopped.
        """
        await self.progress.begin(Step.LOOK)
        unchanged = await self._unchanged_in_cache()
        if unchanged is not None:
            return await self._conclude_unchanged(unchanged.at, unchanged.discovered)
        programs = (await self._source.features()).programs
        if may_snapshot_first(self._context, self._synced.last_set, self._snapshots.pools, programs=programs):
            return await self._snapshot_first()
        return await self._look_first(await self._inventories.on_target())

    async def _snapshot_first(self) -> RunResult:
        """Do the usual run: take the snapshot while the target is listed. Any doubt leads to `_look_first`."""
        try:
            on_target, snapshot = await self._list_target_and_snapshot()
        except SupersededError:
            return await self._look_first(await self._inventories.on_target())
        try:
            discovered = await self._pair(snapshot.on_source, on_target)
        except ZsrError:
            await self._snapshots.destroy(snapshot.name)
            raise
        as_remembered = is_as_remembered(self._direction(), discovered.volumes, self._synced.last_set)
        if not (as_remembered and await self._is_same_target(discovered.volumes, on_target)):
            await self._snapshots.destroy(snapshot.name)
            return await self._look_first(await self._inventories.on_target())
        if not snapshot.taken:
            if await self._is_unchanged(discovered.volumes):
                self._synced = without_taken(self._synced, snapshot.set_time)
                return await self._conclude_unchanged(snapshot.at, discovered)
            snapshot = await self._snapshots.take((), self._synced, if_changed=False)
        return await self._send(snapshot, on_target)

    async def _look_first(self, on_target: TargetInventory) -> RunResult:
        """Do the run of a job in doubt: list both sides and clean up after earlier runs before the snapshot."""
        at = self._clock()
        discovered, on_target = await self._discover(on_target)
        if is_unchanged(self._direction(), discovered.volumes, self._synced.last_set):
            synced = proven_set(self._synced, at, self._synced.last_set or 0, discovered.volumes)
            self._log("info", f"nothing was written since the set {synced.last_set}")
            return await self._conclude(discovered, synced)
        await self.progress.begin(Step.SNAPSHOT)
        snapshot = await self._snapshots.take(discovered.volumes, self._synced, if_changed=False)
        return await self._send(snapshot, on_target)

    # --- look

    async def _unchanged_in_cache(self) -> CachedPairs | None:
        """Return both sides from the shared cache if nothing changed there; None if this run has to look itself."""
        with contextlib.suppress(ConnectionLostError):
            cached = await self._inventories.from_cache()
            if (
                cached is not None
                and is_unchanged(self._direction(), cached.discovered.volumes, self._synced.last_set)
                and cached.at >= (self._synced.last_sync or 0)
                and self._stamps.may_pass(cached.discovered.volumes)
                and not self._is_edited()  # the cache may be of the node's old address
                and await self._is_same_target(cached.discovered.volumes, cached.on_target)
            ):
                return cached
        return None

    async def _is_unchanged(self, volumes: Sequence[VolumePair]) -> bool:
        """Return whether no byte was written and no key changed; a program does not read keys, so a command does."""
        if not is_unchanged(self._direction(), volumes, self._synced.last_set):
            return False
        asked = with_unknown_salt(volumes)
        return not asked or not any_new_key(volumes, await self._source.salts(asked))

    def _is_edited(self) -> bool:
        storages = {storage.name: storage for storage in self._context.storages}
        return is_edited(self._synced.place, self._target.node, self._context.address, storages)

    def _look_at_place(self, volumes: Sequence[VolumePair], on_target: TargetInventory) -> tuple[Sight, TargetPlace]:
        seen = seen_storages(on_target, self._context.storages, self._target.node)
        place = place_of(self._target.node, self._context.address, volumes, seen)
        return compare(self._synced.place, place, edited=self._is_edited()), place

    async def _is_same_target(self, volumes: Sequence[VolumePair], on_target: TargetInventory) -> bool:
        """Return whether the target is the one that is remembered; if so, remember it as it is configured now."""
        sight, place = self._look_at_place(volumes, on_target)
        if sight is not Sight.SAME:
            return False
        if self._is_edited():
            self._log("info", f"the target is the same as before it was edited: {place.node} ({place.address})")
        self._place = place
        synced, known = at_place(self._synced, place), self._synced.place
        if synced.last_sync is None and known is not None:
            synced = replace(synced, place=replace(place, held=known.held))
        if synced != self._synced:
            await self._remember(synced)
        return True

    async def _begin_on_other_target(self, volumes: Sequence[VolumePair], on_target: TargetInventory) -> None:
        """Forget what was proven on the target before; claim only what ZFS shows on this one."""
        sight, place = self._look_at_place(volumes, on_target)
        self._log("warning", described(sight, self._synced.place, place))
        self._place = place
        now = self._clock()
        self._synced = claim_on_other_target(self._synced, place, self._direction(), volumes, now, sight)
        await self._recorder.other_target(self._synced, replaced=sight is Sight.REPLACED)

    def _direction(self, *, marks_late: bool = False) -> Direction:
        return Direction(self._job.id, self._source.node, self._target.node, self._synced.sets, marks_late,
                         self._context.fence, self._job.snapshots)  # fmt: skip

    async def _marks_late(self) -> bool:
        return not (await self._target.features()).receive_properties

    async def _discover(self, on_target: TargetInventory) -> tuple[Discovered, TargetInventory]:
        """List both sides, resume what was cut off, and raise any conflict before anything is changed.

        Returns the volumes of both sides, and the target's inventory after that.
        """
        on_source = await self._inventories.on_source()
        discovered = await self._pair(on_source, on_target)
        if await self._target.end_stale_receives(self._job.id, self._source.node):
            self._log("warning", "a receive that an earlier run left running on the target was ended")
            on_target = await self._inventories.on_target()
            discovered = await self._pair(on_source, on_target)
        self._log("info", f"volumes: {', '.join(str(pair.volume) for pair in discovered.volumes)}")
        discovered, on_target = await self._continue_moved(discovered, on_source, on_target)
        if await self._waited_for_full_copies(discovered):
            on_source, on_target = await self._inventories.on_source(), await self._inventories.on_target()
            discovered = await self._pair(on_source, on_target)
        if not await self._is_same_target(discovered.volumes, on_target):
            await self._begin_on_other_target(discovered.volumes, on_target)
        if discovered.has_half_received:
            refuse_foreign(self._direction(marks_late=await self._marks_late()), discovered.volumes)
            await self.progress.begin(Step.RESUME)
            await self._recorder.resume_pending(True)
            way, past, now = self._direction(), self._context.failures, self._clock()
            half = HalfReceived(self._job, way, self._transfers, self._source, self._target, past, now, self._log)
            await half.resume_all(discovered.volumes)
            on_target = await self._inventories.on_target()
            discovered = await self._pair(on_source, on_target)
        await self._recorder.resume_pending(False)
        plan = await self._plan(discovered)
        await self._claim(plan, discovered.diverged)
        if unknown := described_unknown(self._direction(), discovered.volumes):
            self._log("warning", unknown)
        await self._destroy_unproven(plan)
        return discovered, on_target

    async def _waited_for_full_copies(self, discovered: Discovered) -> bool:
        """Take the lane of full copies if there is one to make; return whether what was listed may be old after it."""
        way = self._direction(marks_late=await self._marks_late())
        plan = make_plan(way, discovered.volumes, discovered.orphans, discovered.diverged)
        waited = plan.has_full_copy and await self._context.begin_full_copy()
        if waited:
            self._log("info", "waited until the full copies of other jobs had ended")
        return waited

    async def _pair(self, on_source: Inventory, on_target: TargetInventory) -> Discovered:
        """Pair the volumes of both sides; raises if they cannot be, or if their owner or epoch refuse the run."""
        discovered = self._files.saw(self._inventories.pair(on_source, on_target))
        await self._stamps.refuse(self._direction(marks_late=await self._marks_late()), discovered, on_target)
        return discovered

    async def _continue_moved(
        self, found: Discovered, on_source: Inventory, on_target: TargetInventory
    ) -> tuple[Discovered, TargetInventory]:
        """Let volumes that would be sent in full go on with replicas that lie elsewhere; return both sides then."""
        way = self._direction(marks_late=await self._marks_late())
        if await self._take_over.go_on(way, found, on_target, self._synced, self._remember):
            on_target = await self._inventories.on_target()
            found = await self._pair(on_source, on_target)
        return found, on_target

    # --- snapshot

    async def _list_target_and_snapshot(self) -> tuple[TargetInventory, SnapshotResult]:
        """List the target while the source is listed and its snapshot taken: neither needs the other."""
        await self.progress.begin(Step.SNAPSHOT)
        on_target, snapshot = await gather_two(
            result_or_error(self._inventories.on_target(as_remembered=True)),
            result_or_error(self._snapshots.take((), self._synced, if_changed=True)),
        )
        if isinstance(snapshot, ZsrError):
            raise snapshot
        if isinstance(on_target, ZsrError):
            await self._snapshots.destroy(snapshot.name)
            raise on_target
        return on_target, snapshot

    async def _remember_taken(self, set_time: int) -> None:
        await self._remember(with_taken(self._synced, set_time))

    # --- plan

    async def _plan(self, discovered: Discovered) -> Plan:
        """Return the plan; log all conflicts and raise the first."""
        direction = self._direction(marks_late=await self._marks_late())
        plan = make_plan(direction, discovered.volumes, discovered.orphans, discovered.diverged)
        for conflict in plan.conflicts:
            self._log("error", f"{conflict.pair.volume}: {conflict.error}")
        if plan.conflicts:
            raise plan.conflicts[0].error
        for action in plan.actions:
            check_keys(self._job, action)
        return giving_way(direction, plan)

    async def _claim(self, plan: Plan, diverged: Sequence[Dataset]) -> None:
        """Lower last sync to what the target holds, and note what the source says about the replicas' snapshots."""
        claim = claim_of(self._direction(), self._synced, plan.actions, diverged, self._clock())
        if claim != self._synced:
            await self._remember(claim)
        await report_source_changes(self._direction(), plan, self._recorder, self._log)

    async def _destroy_unproven(self, plan: Plan) -> None:
        gone = await destroy_unproven(self._direction(), plan, self._source, self._target, self._log)
        self._synced = without_sent(self._synced, gone)

    # --- transfer

    async def _send(self, snapshot: SnapshotResult, on_target: TargetInventory) -> RunResult:
        """Plan with the new snapshot, transfer every volume, and conclude."""
        await self.progress.begin(Step.PLAN)
        try:
            discovered = await self._pair(on_source := snapshot.on_source, on_target)
            if any(needs_bookmarks(pair) for pair in discovered.volumes):
                on_source = await self._inventories.on_source()
                discovered = await self._pair(on_source, on_target)
            discovered, on_target = await self._continue_moved(discovered, on_source, on_target)
            plan = await self._plan(discovered)
        except ZsrError:
            await self._snapshots.destroy(snapshot.name)
            raise
        await self._claim(plan, discovered.diverged)
        await self._note_sent(plan, snapshot.name)
        await self._transfers.transfer_all(plan.actions, snapshot.name)
        done = [arrived(action, snapshot.name, self._job.snapshots) for action in plan.actions]
        last_sync = min(float(snapshot.set_time), snapshot.at)
        synced = proven_set(self._synced, last_sync, snapshot.set_time, done)
        received = [received_replica(action, snapshot.name, self._job.snapshots) for action in plan.actions]
        found = replace(discovered, volumes=tuple(done), orphans=plan.orphans)
        return await self._conclude(found, synced, [each for each in received if each is not None])

    async def _note_sent(self, plan: Plan, name: str) -> None:
        """Note what is about to be sent; whatever travels along with the new set must be known before it arrives."""
        self._synced, others = noting_sent(self._direction(), self._synced, plan.actions, name, self._job.snapshots)
        if others:
            await self._remember(self._synced)

    # --- verify, remember, prune

    async def _conclude(self, found: Discovered, synced: Synced, received: Sequence[ReceivedReplica] = ()) -> RunResult:
        """Verify a set on the target, remember it, and destroy the snapshots that it makes stale."""
        volumes, terms = found.volumes, aside_terms(self._job, self._take_over.wanted, self._clock())
        name = snapshot_name(self._job.id, synced.last_set or 0)
        way = replace(self._direction(), known=synced.sets)
        proof = TargetVerification(way, name, self._source, self._target, self._log, bookmarks=self._context.bookmarks)
        await self.progress.begin(Step.PROVE)
        sides, partial = [(p.source, p.target) for p in volumes], never_whole(self._synced.sets) - {synced.last_set}
        stale = decide_superseded(way, terms.keep, sides, name, self._clock(), partial)
        synced, gone = mirrored(way, self._job, synced, volumes, self._clock())
        synced = waiting(synced, found.diverged, self._job, self._clock())
        pruned = await proof.verify(volumes, [*stale, *gone], received, self._inventories.datasets_on_target)
        await self.progress.begin(Step.REMEMBER)
        await self._remember(without_sent(synced, pruned))
        self._log("info", f"proven on {self._target.node}; the set is {synced.last_set}")
        await self._files.keep(found, synced.last_set or 0, self._place)
        await self.progress.begin(Step.TIDY)
        await proof.prune_source(volumes)
        await destroy_left_behind(self._context, way, volumes, self._source, self._log)
        aged = decide_asides(
            replace(way, known=self._synced.sets), terms, volumes, found.diverged, self._clock(), partial
        )
        self._synced = without_sent(self._synced, await age_asides(aged, self._target, self._log))
        await self._report_vanished(found)
        left = sum_if_known(unreplicated_bytes(pair.source, pair.source.named(name)) for pair in volumes)
        return RunResult(synced.last_sync or 0.0, self.progress.sent_bytes, left)

    async def _conclude_unchanged(self, at: float, found: Discovered) -> RunResult:
        """Remember that the target holds all that the source had ``at`` a moment."""
        await self.progress.begin(Step.REMEMBER)
        await self._stamps.keep_in_step(found.volumes)
        await self._remember(waiting(replace(self._synced, last_sync=at), found.diverged, self._job, self._clock()))
        await self._files.keep(found, self._synced.last_set or 0, self._place)
        await self._report_vanished(found)
        self._log("info", f"nothing was written since the set {self._synced.last_set}, which is on {self._target.node}")
        return RunResult(at, 0, 0)

    async def _remember(self, synced: Synced) -> None:
        self._synced = at_place(synced, self._place)
        await self._recorder.synced(self._synced)

    async def _report_vanished(self, found: Discovered) -> None:
        """Go on with the grace of the replicas whose volume is gone from the source."""
        graces = Graces(self._context, self._direction(), self._source, self._target, self._recorder, self._log,
                        self._clock)  # fmt: skip
        await graces.go_on(found.orphans, found.volumes, self._inventories.unread)
