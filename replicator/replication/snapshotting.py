"""The snapshot of a run: all volumes of a guest at one moment, between its freeze and thaw (DESIGN 4, step 4).

Where ZFS can, the look at the source is part of it (`zfs.channel_programs.snapshot_if_changed`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from replicator.errors import ZsrError
from replicator.models import Guest, JobId, Storage, Synced
from replicator.replication.discovery import selections, source_datasets, source_inventory
from replicator.replication.hooks import frozen
from replicator.replication.plan import VolumePair, choose_base
from replicator.replication.snapshot_sets import times_on
from replicator.replication.transfer import Log
from replicator.replication.verification import attempt, pool_of
from replicator.zfs.channel_programs import SnapshotRequest
from replicator.zfs.client import ZfsClient
from replicator.zfs.model import Dataset, Inventory
from replicator.zfs.snapshot_names import snapshot_name


@dataclass(frozen=True, slots=True)
class SnapshotResult:
    """The source as it was ``at`` a moment (unix seconds), with the snapshot ``name`` of the set ``set_time``.

    No snapshot was ``made`` when nothing had changed.
    """

    name: str
    set_time: int
    at: float
    here: Inventory
    made: bool


class SnapshotTaker:
    """Takes a guest's snapshots on its node, and takes them back.

    ``before`` is called with the time of each set before it is taken, and makes durable that this node takes it.
    """

    def __init__(
        self,
        job: JobId,
        guest: Guest,
        storages: Iterable[Storage],
        source: ZfsClient,
        log: Log,
        clock: Callable[[], float],
        before: Callable[[int], Awaitable[None]],
    ) -> None:
        self._before = before
        self._job = job
        self._guest = guest
        self._storages = tuple(storages)
        self._source = source
        self._log = log
        self._clock = clock
        self._places = selections(guest, self._storages, source.node)

    @property
    def pools(self) -> list[str]:
        """The pools on which the guest may have volumes."""
        return list(self._places)

    async def take(self, known: Iterable[VolumePair], synced: Synced, *, if_changed: bool) -> SnapshotResult:
        """Take the snapshot of all volumes; ``if_changed``: unless nothing was written to any since the proven set.

        Args:
            known: the volumes as far as they were looked at before; a new set's time is later than all theirs.
            synced: what was last proven.
            if_changed: whether a look is enough where nothing was written; without it the snapshot is taken anyway.

        Raises:
            ZsrError: it could not be taken, or the guest not be frozen; what was taken is taken back.
        """
        volumes = tuple(known)
        set_time = self._new_time(volumes, synced)
        name = snapshot_name(self._job, set_time)
        since = snapshot_name(self._job, synced.last_set) if if_changed and synced.last_set is not None else ""
        datasets: dict[str, Dataset] = {}
        made = False
        await self._before(set_time)
        try:
            async with frozen(self._guest, self._source.host, self._log):
                at = self._clock()
                for pool, selection in self._places.items():
                    request = SnapshotRequest(name, selection.places, selection.names, selection.excluded, since)
                    advanced = await self._source.snapshot_if_changed(pool, request)
                    if advanced is None:
                        await self._take_by_commands(pool, name)
                    else:
                        datasets |= advanced.inventory.datasets
                    made = made or advanced is None or advanced.taken
        except ZsrError:
            await self.take_back(name)
            raise
        if not datasets or not _knows_bases(datasets, volumes):
            datasets = dict((await source_inventory(self._guest, self._storages, self._source)).datasets)
        if made:
            self._log("info", f"snapshot {name}")
        return SnapshotResult(name, set_time, at, Inventory(datasets), made)

    async def take_back(self, name: str) -> None:
        """Destroy a set of which not all could be made or used; what remains is tidied by the next run."""
        here = await source_inventory(self._guest, self._storages, self._source)
        for dataset in here.datasets.values():
            new = dataset.named(name)
            if new is not None:
                await attempt(self._source.destroy_snapshots(dataset.name, [new]), self._log)

    def _new_time(self, volumes: Iterable[VolumePair], synced: Synced) -> int:
        """A time that no set of the job has, also when the clock went backwards."""
        taken = {at for s in volumes for dataset in (s.source, s.target) for at in times_on(self._job, dataset)}
        return max([int(self._clock()), (synced.last_set or 0) + 1, *(at + 1 for at in taken)])

    async def _take_by_commands(self, pool: str, name: str) -> None:
        here = await source_inventory(self._guest, self._storages, self._source)
        volumes = source_datasets(self._guest, self._storages, self._source.node, here)
        names = [f"{volume}@{name}" for volume in volumes if pool_of(volume) == pool]
        if names:
            await self._source.snapshot(names)


def _knows_bases(datasets: dict[str, Dataset], volumes: Iterable[VolumePair]) -> bool:
    """Whether each base is found without the bookmarks, of which a program cannot tell."""
    pair = [(datasets.get(volume.source.name), volume.target) for volume in volumes]
    return all(ours is not None and (theirs is None or choose_base(ours, theirs)) for ours, theirs in pair)
