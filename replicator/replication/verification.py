"""Verification of a new set on the target, then pruning: one transaction where ZFS can (contract: One run, step 6).

Nothing older is destroyed on the target before the whole new set is there, GUID by GUID.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence

from replicator.errors import ZfsError, ZsrError
from replicator.models import JobId, KnownSets
from replicator.replication.plan import VolumePair, bookmarks_of
from replicator.replication.progress import Log
from replicator.replication.snapshot_sets import stale_on_source
from replicator.zfs.channel_programs import PruneResult
from replicator.zfs.client import ZfsClient
from replicator.zfs.model import Dataset, Snapshot, pool_of
from replicator.zfs.snapshot_names import job_of

BOOKMARKS_KEPT = 16
"""How many bookmarks of a job a volume keeps before they are destroyed: each costs a command of its own."""


class TargetVerification:
    """Verifies the set ``name`` on the target, and destroys on both sides the snapshots that it makes stale."""

    def __init__(self, job: JobId, name: str, known: KnownSets, source: ZfsClient, target: ZfsClient, log: Log) -> None:
        self._job = job
        self._known = known
        self._name = name
        self._source = source
        self._target = target
        self._log = log

    async def verify(
        self,
        volumes: Sequence[VolumePair],
        stale: Sequence[str],
        datasets_on_target: Callable[[], Awaitable[dict[str, Dataset]]],
    ) -> None:
        """Verify the new set of all volumes; then destroy the stale snapshots (``dataset@name``) of the target.

        ``datasets_on_target`` reads them from a ZFS without channel programs.

        Raises:
            ZfsError: a volume's new snapshot is not on the target; nothing was destroyed.
        """
        expected = {f"{pair.target_name}@{self._name}": self._new(pair.source).guid for pair in volumes}
        pools = sorted({pool_of(name) for name in expected})
        if len(pools) > 1:  # verify all pools before anything older is destroyed in one of them
            for pool in pools:
                if not await self._verify_in_pool(pool, expected, ()):
                    return await self._verify_by_commands(expected, stale, datasets_on_target)
        for pool in pools:
            if not await self._verify_in_pool(pool, expected, stale):
                return await self._verify_by_commands(expected, stale, datasets_on_target)
        return None

    async def _verify_in_pool(self, pool: str, expected: dict[str, int], stale: Sequence[str]) -> bool:
        """Verify and prune one pool; return False where this ZFS cannot run the program."""
        old = [name for name in stale if pool_of(name) == pool]
        new = [(name, guid) for name, guid in expected.items() if pool_of(name) == pool]
        done = await self._target.verify_and_prune(pool, expected=new, stale=old)
        if done is None:
            return False
        if not isinstance(done, PruneResult):
            raise self._unproven(done)
        await self._destroy(self._target, done.left)
        return True

    async def _verify_by_commands(
        self,
        expected: dict[str, int],
        stale: Sequence[str],
        datasets_on_target: Callable[[], Awaitable[dict[str, Dataset]]],
    ) -> None:
        found = await datasets_on_target()
        for name, guid in expected.items():
            dataset = found.get(name.partition("@")[0])
            if dataset is None or dataset.by_guid(guid) is None:
                raise self._unproven(name)
        await self._destroy(self._target, stale)

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
        stale = [
            f"{pair.source.name}@{snapshot.name}"
            for pair in volumes
            for snapshot in stale_on_source(self._job, pair.source, {self._name}, self._known)
        ]
        names = [pair.source.name for pair in volumes]
        bookmarks = [(f"{name}@{self._name}", f"{name}#{self._name}") for name in names]
        done = await self._source.verify_and_prune(pool, stale=stale, bookmarks=bookmarks, bookmarks_of=names)
        left: Iterable[str] = stale
        can_bookmark = False
        if isinstance(done, PruneResult):
            left, can_bookmark = done.left, done.can_bookmark
            await self._purge_bookmarks(done.bookmarks)
        await self._destroy(self._source, [name for name in left if "@" in name])
        if not can_bookmark and (await self._source.features()).bookmarks:
            await self._bookmark_by_commands(volumes)

    async def _bookmark_by_commands(self, volumes: Sequence[VolumePair]) -> None:
        for pair in volumes:
            await attempt(self._source.bookmark(pair.source.name, self._name), self._log)
            await self._purge_bookmarks([f"{pair.source.name}#{bookmark.name}" for bookmark in pair.source.bookmarks])

    async def _purge_bookmarks(self, bookmarks: Iterable[str]) -> None:
        """Destroy the job's bookmarks but the newest, once there are too many."""
        of_volume: dict[str, list[str]] = defaultdict(list)
        for bookmark in bookmarks:
            dataset, _, name = bookmark.partition("#")
            if name != self._name and job_of(name) == self._job:
                of_volume[dataset].append(name)
        for dataset, names in of_volume.items():
            if len(names) >= BOOKMARKS_KEPT:
                for name in names:
                    await attempt(self._source.destroy_bookmark(dataset, name), self._log)

    async def _destroy(self, client: ZfsClient, names: Iterable[str]) -> None:
        """Destroy snapshots (``dataset@name``) one volume after the other; log a warning for those that stay."""
        of_volume: dict[str, list[Snapshot]] = defaultdict(list)
        for full in names:
            dataset, _, name = full.partition("@")
            of_volume[dataset].append(Snapshot(name, 0, 0, 0))
        for dataset, snapshots in of_volume.items():
            await attempt(client.destroy_snapshots(dataset, snapshots), self._log)

    def _new(self, dataset: Dataset) -> Snapshot:
        new = dataset.named(self._name)
        if new is None:
            raise ZfsError(
                f"The snapshot '{dataset.name}@{self._name}' was destroyed on the source during the run.",
                node=self._source.node,
            )
        return new


async def attempt(step: Awaitable[None], log: Log) -> None:
    """Do a step that may fail: log the failure as a warning; the next run does it again."""
    try:
        await step
    except ZsrError as error:
        log("warning", error.what)
        if error.raw:
            log("raw", error.raw)


async def purge_bookmarks(job: JobId, pair: VolumePair, base: str, source: ZfsClient, log: Log) -> None:
    """Destroy a job's bookmarks of snapshots that the target does not have, once there are too many."""
    own = [bookmark for bookmark in bookmarks_of(job, pair.source.bookmarks) if bookmark.name != base]
    useless = [bookmark for bookmark in own if pair.target is None or pair.target.by_guid(bookmark.guid) is None]
    if len(useless) > BOOKMARKS_KEPT:
        for bookmark in useless:
            await attempt(source.destroy_bookmark(pair.source.name, bookmark.name), log)


async def destroy_bookmarks(job: JobId, dataset: Dataset, source: ZfsClient) -> None:
    """Destroy all bookmarks of a job on a volume."""
    for bookmark in bookmarks_of(job, dataset.bookmarks):
        await source.destroy_bookmark(dataset.name, bookmark.name)
