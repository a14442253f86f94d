"""A run that sends volumes again in full next to their replicas, and swaps both after the proof (``zsr reseed``).

It is a run like any other, in which new datasets receive the chosen volumes. Only when the whole set is proven, with
those in the place of the old replicas, are the old ones set aside and the new ones renamed. Nothing is destroyed before
the set is proven again under the final names; the old replicas stay until a person destroys them (``zsr diverged``).

Killed anywhere, the same command goes on with what has arrived, and other runs go on with the old replicas.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace

from replicator.errors import ConfigError
from replicator.models import Synced, Volume
from replicator.replication.context import RunContext, RunRecorder, RunResult
from replicator.replication.discovery import Discovered, TargetInventory
from replicator.replication.inventories import Inventories
from replicator.replication.plan import Plan, VolumePair
from replicator.replication.prepare_target import bring_back, keep_aside
from replicator.replication.progress import Log, Progress, Step
from replicator.replication.reseed_preview import folder_of, measured, refuse_swaps
from replicator.replication.reseeding import choose_volumes, redirected
from replicator.replication.run import Run
from replicator.replication.snapshot_sets import brought, with_sent
from replicator.replication.streams import replica_properties
from replicator.replication.verification import TargetVerification
from replicator.zfs.channel_programs import ReceivedReplica
from replicator.zfs.client import ZfsClient
from replicator.zfs.dataset_names import aside_name
from replicator.zfs.model import Dataset, Inventory
from replicator.zfs.snapshot_names import snapshot_name


class _Redirected(Inventories):
    """Inventories in which the ``chosen`` volumes are received by their new replicas."""

    chosen: frozenset[Volume] = frozenset()

    def pair(self, on_source: Inventory, on_target: TargetInventory) -> Discovered:
        found = super().pair(on_source, on_target)
        volumes = (
            redirected(pair, folder_of(pair, on_target)) if pair.volume in self.chosen else pair
            for pair in found.volumes
        )
        return replace(found, volumes=tuple(volumes))


class Reseed(Run):
    """One reseed of the ``volumes`` of a guest by name; none: of all."""

    def __init__(
        self,
        context: RunContext,
        source: ZfsClient,
        target: ZfsClient,
        *,
        volumes: Collection[str],
        progress: Progress,
        log: Log,
        recorder: RunRecorder,
        clock: Callable[[], float],
    ) -> None:
        super().__init__(context, source, target, progress=progress, log=log, recorder=recorder, clock=clock)
        self._wanted = volumes
        self._redirected = _Redirected(context, source, target, clock)
        self._inventories = self._redirected
        self._old: dict[Volume, VolumePair] = {}
        self._take_over.is_done = True  # a new replica begins with nothing

    async def execute(self) -> RunResult:
        """Do the run; raises as `Run.execute`, and as `reseed_preview.look_at_reseed` where it is refused."""
        await self.progress.begin(Step.LOOK)
        on_target = await self._inventories.on_target()
        found = self._inventories.pair(await self._inventories.on_source(), on_target)
        chosen = choose_volumes(self._job.id, found.volumes, found.diverged, self._wanted)
        way = self._direction(marks_late=await self._marks_late())
        await self._stamps.refuse(way, found, on_target)
        refuse_swaps(way, chosen, on_target)
        await measured(self._job, chosen, on_target, self._source, self._target)
        self._old = {pair.volume: pair for pair in chosen}
        self._redirected.chosen = frozenset(self._old)
        self._log("info", f"sent again in full, next to the old replicas: {', '.join(map(str, self._old))}")
        return await self._look_first(on_target)

    async def _waited_for_full_copies(self, discovered: Discovered) -> bool:
        return await self._context.begin_full_copy()

    async def _begin_on_other_target(self, volumes: Sequence[VolumePair], on_target: TargetInventory) -> None:
        raise ConfigError(
            f"The target of job {self._job.id} is not the one on which its last set was proven.",
            advice=f"Let a run look at it first: zsr run --id {self._job.id}.",
        )

    async def _plan(self, discovered: Discovered) -> Plan:
        """Plan as `Run` does, but let no new replica begin with what an old one, or one that was set aside, has."""
        chosen = self._redirected.chosen
        others = tuple(pair for pair in discovered.volumes if pair.volume not in chosen)
        mine = tuple(pair for pair in discovered.volumes if pair.volume in chosen)
        plan = await super()._plan(replace(discovered, volumes=others))
        new = await super()._plan(Discovered(mine, (), ()))
        return replace(plan, actions=(*plan.actions, *new.actions))

    async def _claim(self, plan: Plan, diverged: Sequence[Dataset]) -> None:
        """Claim what was claimed before: the old replicas hold it, and stay until something newer is proven."""
        synced = with_sent(self._synced, brought(self._direction(), [action.pair for action in plan.actions]))
        if synced != self._synced:
            await self._remember(synced)

    async def _destroy_unproven(self, plan: Plan) -> None:
        """Leave the chosen volumes alone: a set may be the base of an old replica, which this plan does not see."""
        others = tuple(action for action in plan.actions if action.pair.volume not in self._redirected.chosen)
        await super()._destroy_unproven(replace(plan, actions=others))

    async def _conclude(self, found: Discovered, synced: Synced, received: Sequence[ReceivedReplica] = ()) -> RunResult:
        """Prove the set where it is, swap, and conclude as `Run` does: prove it under the final names, then tidy."""
        await self.progress.begin(Step.PROVE)
        name = snapshot_name(self._job.id, synced.last_set or 0)
        way = replace(self._direction(), known=synced.sets)
        proof = TargetVerification(way, name, self._source, self._target, self._log, bookmarks=self._context.bookmarks)
        await proof.verify(found.volumes, (), received, self._inventories.datasets_on_target)
        self._log("info", f"the new replicas are proven on {self._target.node}; they take the place of the old ones")
        on_target = await self._inventories.on_target()
        old = {pair.volume: pair for pair in _as_now(self._old.values(), on_target)}
        way = self._direction(marks_late=await self._marks_late())
        await self._stamps.refuse(way, Discovered(tuple(old.values()), (), ()), on_target)
        refuse_swaps(way, tuple(old.values()), on_target)
        done = [await self._swap(old[pair.volume], pair) if pair.volume in old else pair for pair in found.volumes]
        return await super()._conclude(replace(found, volumes=tuple(done)), synced)

    async def _swap(self, old: VolumePair, new: VolumePair) -> VolumePair:
        """Set the old replica aside, and give its name to the new one."""
        asides: list[str] = []
        if old.target is not None:
            await self.progress.begin(Step.ASIDE)
            if old.target.job is not None:
                job, source = str(self._job.id), self._source.node
                await self._target.refuse_in_use(old.target_name, job, source, self._context.fence)
            kept = aside_name(old.target_path, old.volume.name, self._clock())
            properties = replica_properties(self._job, self._source.node, old.source)
            if await keep_aside(old, kept, self._target, properties):
                asides.append(kept)
            self._log("warning", f"{old.volume}: the old replica is kept as '{kept}' (zsr diverged list)")
        await self.progress.begin(Step.SWAP)
        await self._target.rename(new.target_name, old.target_name)
        await bring_back(asides, old.target_name, self._target, str(self._job.id), self._log)
        target = None if new.target is None else replace(new.target, name=old.target_name)
        return replace(new, target_name=old.target_name, target=target, reseed=None)


def _as_now(volumes: Iterable[VolumePair], on_target: TargetInventory) -> Iterable[VolumePair]:
    """Yield the volumes with their old replicas as they are now; hours may have passed."""
    for pair in volumes:
        inventory = on_target.inventories.get(pair.volume.storage)
        now = inventory.get(pair.target_name) if isinstance(inventory, Inventory) else None
        yield replace(pair, target=now)
