"""The stamps of a run's volumes: compare them with the fence before anything is changed, and keep them in step.

The rule is in `replicator.zfs.fence`. Listings show stamps without their source, so one that would refuse the run is
read again, before it does: only a dataset's own stamps count (contract: Guests that move).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from replicator.errors import SupersededError, ZsrError
from replicator.models import JobId, Storage
from replicator.replication.context import OtherJobs
from replicator.replication.discovery import Discovered, TargetInventory
from replicator.replication.moved_volumes import bears_others_stamps, job_of_replica
from replicator.replication.plan import VolumePair, make_plan
from replicator.replication.progress import Log
from replicator.replication.provenance import Direction, is_marked
from replicator.zfs.channel_programs import PruneResult
from replicator.zfs.client import ZfsClient
from replicator.zfs.dataset_names import is_diverged, volume_prefixes
from replicator.zfs.fence import Fence, Guard, Stamped, Standing, is_stamped, refusal, standing
from replicator.zfs.model import Dataset, Inventory, pool_of


def others_on_target(way: Direction, found: TargetInventory, storages: Iterable[Storage]) -> list[Dataset]:
    """Return all datasets of a guest on the target: those of its jobs, and those with its number in their name.

    A node that took the guest over may have replaced its volumes, so that none has the name of one of the source's; or
    have died when it had set one aside, and not put an older set in its place yet.
    """
    paths = {storage.name: storage.path_on(way.target) for storage in storages}
    return [
        dataset
        for name, inventory in found.inventories.items()
        if isinstance(inventory, Inventory)
        for dataset in inventory.datasets.values()
        if (not is_diverged(dataset.name) or _is_taken(way, dataset)) and _is_of(way.job, dataset, paths[name])
    ]


def _is_taken(way: Direction, aside: Dataset) -> bool:
    """Return whether another owner set a replica of this job and node aside."""
    return is_marked(way, aside) and aside.owner not in (None, way.source)


def _is_of(job: JobId, dataset: Dataset, path: str) -> bool:
    if (theirs := job_of_replica(dataset)) is not None:
        return theirs.guest == job.guest
    return dataset.name.startswith(volume_prefixes(job.guest, path))


def refusing(fence: Fence, datasets: Iterable[Stamped], *, later_only: bool = False) -> list[Stamped]:
    """Return the datasets whose stamps refuse a fence; ``later_only``: by a later epoch, or the claim to one."""
    wanted = {Standing.SUPERSEDED, Standing.CLAIMED} if later_only else set(Standing) - {Standing.PASSES}
    return [each for each in datasets if standing(fence, each) in wanted]


@dataclass(frozen=True, slots=True)
class Refusal:
    """How stamps refuse a run; ``disputed``: only by another owner at the same epoch."""

    error: SupersededError
    disputed: bool


def unstamped(fence: Fence, datasets: Iterable[Dataset]) -> list[str]:
    """Return the names of the datasets that the listing shows without a fence's stamps."""
    return [each.name for each in datasets if not is_stamped(fence, each.stamped)]


async def confirmed(
    fence: Fence, client: ZfsClient, datasets: Iterable[Dataset], *, later_only: bool = False
) -> list[Stamped]:
    """Return those of some listed datasets of a node whose own stamps refuse a fence; no command if none seems to."""
    suspects = refusing(fence, (each.stamped for each in datasets), later_only=later_only)
    own = await client.local_stamps([each.dataset for each in suspects]) if suspects else []
    return refusing(fence, own, later_only=later_only)


async def refuse_superseded(fence: Fence, client: ZfsClient, datasets: Iterable[Dataset]) -> None:
    """Raise SupersededError if the own stamps of one of some listed datasets of a node refuse a fence."""
    for seen in await confirmed(fence, client, datasets):
        if (error := refusal(fence, client.node, seen)) is not None:
            raise error


class Stamps:
    """Compares and sets the stamps of one run's volumes on both sides."""

    def __init__(
        self,
        fence: Fence,
        storages: Iterable[Storage],
        source: ZfsClient,
        target: ZfsClient,
        log: Log,
        others: OtherJobs | None = None,
    ) -> None:
        self._others = others
        self.fence = fence
        self._storages = tuple(storages)
        self._source = source
        self._target = target
        self._log = log

    def may_pass(self, volumes: Iterable[VolumePair]) -> bool:
        """Return whether the volumes pass as they were listed; where not, their stamps have to be read again."""
        return not refusing(self.fence, (each.stamped for pair in volumes for each in _sides(pair)))

    async def refusal_of(self, way: Direction, discovered: Discovered, on_target: TargetInventory) -> Refusal | None:
        """Return how the volumes on either side refuse the run; None if they let it pass. A later epoch comes first.

        What bears the stamps of another guest does not count: a volume that moved here, or that guest's replica.
        """
        others, storages = self._others, self._storages
        sources = (pair.source for pair in discovered.volumes)
        here = [each for each in sources if not bears_others_stamps(way, others, storages, each)]
        replicas = [pair.target for pair in discovered.volumes if pair.target is not None]
        there = [each for each in replicas if (job := job_of_replica(each)) is None or job.guest == way.job.guest]
        names = {replica.name for replica in there}
        more = [each for each in others_on_target(way, on_target, self._storages) if each.name not in names]
        found = [
            *((self._target, each) for each in await confirmed(self.fence, self._target, there)),
            *((self._target, each) for each in await confirmed(self.fence, self._target, more, later_only=True)),
            *((self._source, each) for each in await confirmed(self.fence, self._source, here)),
        ]
        refusals = [
            Refusal(error, standing(self.fence, seen) is Standing.DISPUTED)
            for client, seen in found
            if (error := refusal(self.fence, client.node, seen)) is not None
        ]
        return min(refusals, key=lambda each: each.disputed, default=None)

    async def refuse(self, way: Direction, discovered: Discovered, on_target: TargetInventory) -> None:
        """Raise what refuses the run, before anything is changed.

        Two owners at one epoch are what a guest that was moved by hand looks like. Where the plan has a conflict then,
        it refuses the run too, and its advice helps more.

        Raises:
            SupersededError: owner and epoch refuse it. ZsrError: the plan does, or the stamps could not be read.
        """
        found = await self.refusal_of(way, discovered, on_target)
        if found is None:
            return
        plan = make_plan(way, discovered.volumes, discovered.orphans, discovered.diverged)
        raise plan.conflicts[0].error if found.disputed and plan.conflicts else found.error

    async def keep_in_step(self, volumes: Sequence[VolumePair]) -> None:
        """Stamp those volumes on both sides that the listing shows without the fence's stamps.

        Raises:
            SupersededError: one of them refuses the fence.
        """
        await self.bring_up(self._source, [pair.source for pair in volumes])
        await self.bring_up(self._target, [pair.target for pair in volumes if pair.target is not None])

    async def bring_up(self, client: ZfsClient, datasets: Iterable[Dataset]) -> None:
        """Stamp those of some datasets of a node that the listing shows without the fence's stamps.

        A failure is a warning; the next run does it again.

        Raises:
            SupersededError: one of them refuses the fence.
        """
        pools: dict[str, list[str]] = defaultdict(list)
        for name in unstamped(self.fence, datasets):
            pools[pool_of(name)].append(name)
        for pool, names in pools.items():
            try:
                done = await client.verify_and_prune(pool, guard=Guard(self.fence, tuple(names), tuple(names)))
                left = done.unstamped if isinstance(done, PruneResult) else names
                await client.stamp(self.fence, left)
            except SupersededError:
                raise
            except ZsrError as error:
                self._log("warning", error.what)


def _sides(pair: VolumePair) -> list[Dataset]:
    return [pair.source] if pair.target is None else [pair.source, pair.target]
