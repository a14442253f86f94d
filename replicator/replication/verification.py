"""Verification of a new set on the target, then pruning: one transaction where ZFS can (contract: One run, step 6).

Nothing older is destroyed on the target before the whole new set is there, GUID by GUID.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence

from replicator.errors import SupersededError, ZfsError, ZsrError
from replicator.replication.destruction import (
    BOOKMARKS_KEPT,
    decide_all_bookmarks,
    decide_old_bookmarks,
    decide_old_on_source,
)
from replicator.replication.plan import VolumePair
from replicator.replication.progress import UNTIDY, Log
from replicator.replication.provenance import Direction
from replicator.replication.reseeding import needed
from replicator.replication.snapshot_sets import made_meanwhile
from replicator.replication.stamps import refuse_superseded, unstamped
from replicator.zfs.channel_programs import PruneResult, ReceivedReplica
from replicator.zfs.client import ZfsClient
from replicator.zfs.fence import Guard
from replicator.zfs.model import MADE_HERE, Dataset, Snapshot, pool_of
from replicator.zfs.permits import SnapshotsPermit
from replicator.zfs.snapshot_names import job_of


class TargetVerification:
    """Verifies the set ``name`` on the target, and destroys on both sides the snapshots that it makes stale.

    With ``bookmarks`` the set is bookmarked on the source; without, all bookmarks of the job are destroyed there.
    """

    def __init__(
        self, way: Direction, name: str, source: ZfsClient, target: ZfsClient, log: Log, *, bookmarks: bool
    ) -> None:
        self._bookmarks = bookmarks
        self._way = way
        self._job = way.job
        self._name = name
        self._source = source
        self._target = target
        self._log = log

    async def verify(
        self,
        volumes: Sequence[VolumePair],
        stale: Sequence[SnapshotsPermit],
        received: Sequence[ReceivedReplica],
        datasets_on_target: Callable[[], Awaitable[dict[str, Dataset]]],
    ) -> set[int]:
        """Verify the new set of all volumes; then destroy the stale snapshots of the target.

        Snapshots that were created on ``received`` replicas since they were listed are tagged. ``datasets_on_target``
        reads the datasets from a ZFS without channel programs. The replicas get the stamps of the fence. Returns the
        GUIDs of those destroyed.

        Raises:
            ZfsError: a volume's new snapshot is not on the target; nothing was destroyed.
            SupersededError: another node has taken the guest over since the look; nothing was destroyed.
        """
        expected = {f"{pair.target_name}@{self._name}": self._new(pair.source).guid for pair in volumes}
        pools = sorted({pool_of(name) for name in expected})
        pruned: set[int] = set()
        # With several pools, all are verified before anything older is destroyed in one of them.
        checks = [(pool, False) for pool in pools if len(pools) > 1]
        for pool, last in [*checks, *((pool, True) for pool in pools)]:
            there = [replica for replica in received if last and pool_of(replica.dataset) == pool]
            done = await self._verify_in_pool(pool, expected, stale if last else (), there, stamps=last)
            if done is None:
                return pruned | await self._verify_by_commands(expected, stale, received, datasets_on_target)
            pruned |= done
        return pruned

    async def _verify_in_pool(
        self,
        pool: str,
        expected: dict[str, int],
        stale: Sequence[SnapshotsPermit],
        received: Sequence[ReceivedReplica],
        *,
        stamps: bool,
    ) -> set[int] | None:
        """Verify and prune one pool; return the GUIDs destroyed, None where this ZFS cannot run the program.

        With ``stamps`` the replicas there get the stamps of the fence.
        """
        old = [permit for permit in stale if pool_of(permit.dataset) == pool]
        new = [(name, guid) for name, guid in expected.items() if pool_of(name) == pool]
        guard = self._guard([name.partition("@")[0] for name, _ in new], stamps=stamps)
        done = await self._target.verify_and_prune(pool, expected=new, stale=old, received=received, guard=guard)
        if done is None:
            return None
        if not isinstance(done, PruneResult):
            raise self._unproven(done)
        await self._stamp(self._target, done.unstamped)
        await self._tag(done.made_here, done.untagged)
        left = [permit.only(done.left) for permit in old]
        return _guids(old) - (_guids(left) - await self._destroy(self._target, left))

    async def _verify_by_commands(
        self,
        expected: dict[str, int],
        stale: Sequence[SnapshotsPermit],
        received: Sequence[ReceivedReplica],
        datasets_on_target: Callable[[], Awaitable[dict[str, Dataset]]],
    ) -> set[int]:
        found = await datasets_on_target()
        for name, guid in expected.items():
            dataset = found.get(name.partition("@")[0])
            if dataset is None or dataset.by_guid(guid) is None:
                raise self._unproven(name)
        if self._way.fence is not None:
            replicas = [found[name.partition("@")[0]] for name in expected]
            await refuse_superseded(self._way.fence, self._target, replicas)
            await self._stamp(self._target, unstamped(self._way.fence, replicas))
        here = [name for each in received for name in made_meanwhile(each, found.get(each.dataset))]
        await self._tag(here, here)
        return await self._destroy(self._target, stale)

    def _guard(self, datasets: Iterable[str], *, stamps: bool = True) -> Guard | None:
        names = tuple(datasets)
        return None if self._way.fence is None else Guard(self._way.fence, names, names if stamps else ())

    async def _stamp(self, client: ZfsClient, datasets: Sequence[str]) -> None:
        """Stamp datasets that no program stamped; a failure is logged, and the next run does it again."""
        if self._way.fence is not None and datasets:
            await attempt(client.stamp(self._way.fence, datasets), self._log)

    async def _tag(self, made_here: Iterable[str], untagged: Iterable[str]) -> None:
        """Log what was created on replicas meanwhile, and tag what is not tagged yet."""
        for name in made_here:
            self._log("info", f"the snapshot {name} was created on the replica itself; it is kept")
        for name in untagged:
            await attempt(self._target.set_properties(name, {"zsr:job": MADE_HERE}), self._log)

    def _unproven(self, name: str) -> ZfsError:
        return ZfsError(
            f"The snapshot '{name}' is not on node {self._target.node} after its transfer.",
            node=self._target.node,
            advice="The next run sends it again. Check whether another tool destroys snapshots there.",
        )

    async def prune_source(self, volumes: Sequence[VolumePair]) -> None:
        """Destroy the job's older snapshots on the source, and bookmark the new one; a failure is only logged."""
        pools: dict[str, list[VolumePair]] = defaultdict(list)
        for pair in volumes:
            pools[pool_of(pair.source.name)].append(pair)
        for pool, some in pools.items():
            await attempt(self._prune_source(pool, some), self._log)

    async def _prune_source(self, pool: str, volumes: Sequence[VolumePair]) -> None:
        stale = [decide_old_on_source(self._way, pair.source, {self._name, *needed(pair)}) for pair in volumes]
        names = [pair.source.name for pair in volumes]
        bookmarks = [(f"{name}@{self._name}", f"{name}#{self._name}") for name in names if self._bookmarks]
        guard = self._guard(names)
        done = await self._source.verify_and_prune(
            pool, stale=stale, bookmarks=bookmarks, bookmarks_of=names, guard=guard
        )
        can_bookmark = False
        left = [] if guard is None else unstamped(guard.fence, [pair.source for pair in volumes])
        await self._stamp(self._source, done.unstamped if isinstance(done, PruneResult) else left)
        if isinstance(done, PruneResult):
            stale, can_bookmark = [permit.only(done.left) for permit in stale], done.can_bookmark
            await self._purge_bookmarks(done.bookmarks)
        await self._destroy(self._source, stale)
        if not can_bookmark and (await self._source.features()).bookmarks:
            await self._bookmark_by_commands(volumes)

    async def _bookmark_by_commands(self, volumes: Sequence[VolumePair]) -> None:
        for pair in volumes:
            if self._bookmarks:
                await attempt(self._source.bookmark(pair.source.name, self._name), self._log)
            await self._purge_bookmarks([f"{pair.source.name}#{bookmark.name}" for bookmark in pair.source.bookmarks])

    async def _purge_bookmarks(self, bookmarks: Iterable[str]) -> None:
        """Destroy the job's bookmarks: all, or all but the newest once there are too many."""
        most = BOOKMARKS_KEPT if self._bookmarks else 0
        count = Counter(name.partition("#")[0] for name in bookmarks if job_of(name.partition("#")[2]) == self._job)
        for dataset in (name for name, many in count.items() if many > most):
            await attempt(self._purge_bookmarks_of(dataset), self._log)

    async def _purge_bookmarks_of(self, dataset: str) -> None:
        found = (await self._source.inventory(dataset, depth=1, bookmarks=True)).get(dataset)
        if found is not None:
            job, name = self._job, self._name
            permit = decide_old_bookmarks(job, found, name) if self._bookmarks else decide_all_bookmarks(job, found)
            await self._source.destroy_bookmarks(permit)

    async def _destroy(self, client: ZfsClient, permits: Iterable[SnapshotsPermit]) -> set[int]:
        """Destroy snapshots one volume after the other; log a warning for those that stay. Return the others' GUIDs."""
        done = [permit for permit in permits if await attempt(client.destroy_snapshots(permit), self._log)]
        return _guids(done)

    def _new(self, dataset: Dataset) -> Snapshot:
        new = dataset.named(self._name)
        if new is None:
            raise ZfsError(
                f"The snapshot '{dataset.name}@{self._name}' was destroyed on the source during the run.",
                node=self._source.node,
            )
        return new


def _guids(permits: Iterable[SnapshotsPermit]) -> set[int]:
    return {snapshot.guid for permit in permits for snapshot in permit.snapshots}


async def attempt(step: Awaitable[None], log: Log) -> bool:
    """Do a step that may fail: log the failure as a warning; the next run does it again. Return whether it worked.

    Raises:
        SupersededError: another node has taken the guest over, so no further step may follow.
    """
    try:
        await step
    except SupersededError:
        raise
    except ZsrError as error:
        log(UNTIDY, error.what)
        if error.raw:
            log("raw", error.raw)
        return False
    return True
