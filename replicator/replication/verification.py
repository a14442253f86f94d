"""The proof of a run, and the tidying that may follow from it: in one transaction of ZFS where it can (DESIGN 4).

Nothing older is destroyed on the target before the new set is there as a whole, GUID by GUID.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence

from replicator.errors import ZfsError, ZsrError
from replicator.models import JobId, KnownSets
from replicator.replication.plan import VolumePair, marks_of
from replicator.replication.snapshot_sets import stale_on_source
from replicator.replication.transfer import Log
from replicator.zfs.channel_programs import PruneResult
from replicator.zfs.client import ZfsClient
from replicator.zfs.model import Dataset, Snapshot
from replicator.zfs.snapshot_names import job_of

MARKS_KEPT = 16
"""So many bookmarks of a job may gather on a volume, since each is destroyed by a command of its own."""


def pool_of(name: str) -> str:
    """The pool of a dataset or snapshot."""
    return name.partition("/")[0].partition("@")[0]


class TargetVerification:
    """Proves the set ``name`` on the target, and destroys what it makes stale on both sides."""

    def __init__(self, job: JobId, name: str, known: KnownSets, source: ZfsClient, target: ZfsClient, log: Log) -> None:
        self._job = job
        self._known = known
        self._name = name
        self._source = source
        self._target = target
        self._log = log

    async def on_target(
        self,
        volumes: Sequence[VolumePair],
        stale: Sequence[str],
        look_again: Callable[[], Awaitable[dict[str, Dataset]]],
    ) -> None:
        """Prove the new set of all volumes; then destroy the stale snapshots (``dataset@name``).

        ``look_again`` tells the target's datasets, for a ZFS without channel programs.

        Raises:
            ZfsError: a volume's new snapshot is not on the target; nothing was destroyed.
        """
        expected = {f"{pair.target_name}@{self._name}": self._new(pair.source).guid for pair in volumes}
        pools = sorted({pool_of(name) for name in expected})
        if len(pools) > 1:  # a set is proven in all pools before anything older goes in one of them
            for pool in pools:
                if not await self._settle(pool, expected, ()):
                    return await self._by_commands(expected, stale, look_again)
        for pool in pools:
            if not await self._settle(pool, expected, stale):
                return await self._by_commands(expected, stale, look_again)
        return None

    async def _settle(self, pool: str, expected: dict[str, int], stale: Sequence[str]) -> bool:
        """One pool's part; False where this ZFS cannot."""
        old = [name for name in stale if pool_of(name) == pool]
        proofs = [(name, guid) for name, guid in expected.items() if pool_of(name) == pool]
        done = await self._target.verify_and_prune(pool, proofs=proofs, stale=old)
        if done is None:
            return False
        if not isinstance(done, PruneResult):
            raise self._unproven(done)
        await self._destroy(self._target, done.left)
        return True

    async def _by_commands(
        self, expected: dict[str, int], stale: Sequence[str], look_again: Callable[[], Awaitable[dict[str, Dataset]]]
    ) -> None:
        found = await look_again()
        for name, guid in expected.items():
            dataset = found.get(name.partition("@")[0])
            if dataset is None or dataset.by_guid(guid) is None:
                raise self._unproven(name)
        await self._destroy(self._target, stale)

    def _unproven(self, name: str) -> ZfsError:
        return ZfsError(
            f"The snapshot '{name}' could not be proven on node {self._target.node}.",
            node=self._target.node,
            advice="It is sent again by the next run; look whether somebody destroys snapshots there.",
        )

    async def on_source(self, volumes: Sequence[VolumePair]) -> None:
        """Destroy the job's older snapshots on the source, and leave a bookmark of the new one; both may fail."""
        pools: dict[str, list[VolumePair]] = defaultdict(list)
        for pair in volumes:
            pools[pool_of(pair.source.name)].append(pair)
        for pool, some in pools.items():
            await attempt(self._tidy_source(pool, some), self._log)

    async def _tidy_source(self, pool: str, volumes: Sequence[VolumePair]) -> None:
        stale = [
            f"{pair.source.name}@{snapshot.name}"
            for pair in volumes
            for snapshot in stale_on_source(self._job, pair.source, {self._name}, self._known)
        ]
        names = [pair.source.name for pair in volumes]
        bookmarks = [(f"{name}@{self._name}", f"{name}#{self._name}") for name in names]
        done = await self._source.verify_and_prune(pool, stale=stale, bookmarks=bookmarks, marked=names)
        left: Iterable[str] = stale
        can_bookmark = False
        if isinstance(done, PruneResult):
            left, can_bookmark = done.left, done.can_bookmark
            await self._purge_marks(done.marks)
        await self._destroy(self._source, [name for name in left if "@" in name])
        if not can_bookmark and (await self._source.features()).bookmarks:
            await self._mark_by_commands(volumes)

    async def _mark_by_commands(self, volumes: Sequence[VolumePair]) -> None:
        for pair in volumes:
            await attempt(self._source.bookmark(pair.source.name, self._name), self._log)
            await self._purge_marks([f"{pair.source.name}#{mark.name}" for mark in pair.source.bookmarks])

    async def _purge_marks(self, marks: Iterable[str]) -> None:
        """Destroy a job's bookmarks but the newest, once there are too many."""
        of_volume: dict[str, list[str]] = defaultdict(list)
        for mark in marks:
            dataset, _, name = mark.partition("#")
            if name != self._name and job_of(name) == self._job:
                of_volume[dataset].append(name)
        for dataset, names in of_volume.items():
            if len(names) >= MARKS_KEPT:
                for name in names:
                    await attempt(self._source.destroy_bookmark(dataset, name), self._log)

    async def _destroy(self, client: ZfsClient, names: Iterable[str]) -> None:
        """Destroy snapshots (``dataset@name``) one volume after the other; what cannot be is a warning."""
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
                f"The snapshot '{dataset.name}@{self._name}' is gone from the source.", node=self._source.node
            )
        return new


async def attempt(step: Awaitable[None], log: Log) -> None:
    """Do what may fail: a failure is a warning, and the next run does it again."""
    try:
        await step
    except ZsrError as error:
        log("warning", error.what)
        if error.raw:
            log("raw", error.raw)


async def purge_marks(job: JobId, pair: VolumePair, base: str, source: ZfsClient, log: Log) -> None:
    """Destroy a job's bookmarks of snapshots that the target does not have, once there are too many of them."""
    own = [mark for mark in marks_of(job, pair.source.bookmarks) if mark.name != base]
    useless = [mark for mark in own if pair.target is None or pair.target.by_guid(mark.guid) is None]
    if len(useless) > MARKS_KEPT:
        for mark in useless:
            await attempt(source.destroy_bookmark(pair.source.name, mark.name), log)


async def destroy_marks(job: JobId, dataset: Dataset, source: ZfsClient) -> None:
    """Destroy all bookmarks of a job on a volume."""
    for mark in marks_of(job, dataset.bookmarks):
        await source.destroy_bookmark(dataset.name, mark.name)
