"""The snapshot of a run: all volumes of a guest at one moment, between its hooks (contract: One run, step 4).

Where ZFS can, one transaction lists the source and takes the snapshot (`channel_programs.snapshot_if_changed`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass

from replicator.common.snapshot_patterns import NONE_TRAVEL, SnapshotPatterns
from replicator.errors import ZsrError
from replicator.models import Guest, JobId, Storage, Synced
from replicator.replication.destruction import decide_useless_set, decide_useless_sets_bookmarks
from replicator.replication.discovery import selections, source_datasets, source_inventory
from replicator.replication.hooks import HookRecorder, frozen
from replicator.replication.plan import VolumePair, choose_base
from replicator.replication.progress import Log
from replicator.replication.snapshot_sets import new_set_time
from replicator.replication.verification import attempt
from replicator.zfs.channel_programs import SnapshotRequest
from replicator.zfs.client import ZfsClient
from replicator.zfs.fence import Fence
from replicator.zfs.model import Dataset, Inventory, pool_of
from replicator.zfs.snapshot_names import snapshot_name


@dataclass(frozen=True, slots=True)
class SnapshotResult:
    """The snapshot ``name`` of the set ``set_time``, and the source's inventory right after it.

    ``taken`` is False when nothing had changed: there is no new snapshot then. ``at`` is the moment of the inventory
    (unix seconds).
    """

    name: str
    set_time: int
    at: float
    on_source: Inventory
    taken: bool


async def no_more() -> None:
    """Do nothing after a snapshot."""


class SnapshotTaker:
    """Takes a guest's snapshots on its node, and destroys them again if they cannot be used.

    ``before`` is called with the time of each set before it is taken, and makes durable that this node takes it.
    ``hooks`` records what the guest's hooks do. With ``bookmarks`` each set is bookmarked. With the snapshot, the
    volumes get the stamps of the ``fence``. Snapshots of others that fit ``travels`` count as a change. ``after`` is
    called right after the thaw, and raises no ZsrError.
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
        hooks: HookRecorder,
        *,
        bookmarks: bool,
        fence: Fence | None = None,
        travels: SnapshotPatterns = NONE_TRAVEL,
        after: Callable[[], Awaitable[None]] = no_more,
    ) -> None:
        self._travels = travels
        self._after = after
        self._fence = fence
        self._hooks = hooks
        self._before = before
        self._bookmarks = bookmarks
        self._job = job
        self._guest = guest
        self._storages = tuple(storages)
        self._source = source
        self._log = log
        self._clock = clock
        self._selections = selections(guest, self._storages, source.node)
        self._taken_in: set[str] = set()

    @property
    def pools(self) -> list[str]:
        """The source's pools on which the guest may have volumes."""
        return list(self._selections)

    async def take(self, known: Iterable[VolumePair], synced: Synced, *, if_changed: bool) -> SnapshotResult:
        """Take the snapshot of all volumes; ``if_changed``: unless nothing was written to any since the proven set.

        Args:
            known: the volumes as far as they were listed before; the new set's time is later than all theirs.
            synced: the set that was last proven.
            if_changed: take no snapshot where nothing was written; without it the snapshot is always taken.

        Raises:
            SupersededError: a volume refuses the fence.
            ZsrError: it could not be taken, or the guest could not be frozen; snapshots already taken are destroyed.
        """
        volumes = tuple(known)
        set_time = new_set_time(self._job, volumes, synced, self._clock())
        name = snapshot_name(self._job, set_time)
        since = snapshot_name(self._job, synced.last_set) if if_changed and synced.last_set is not None else ""
        datasets: dict[str, Dataset] = {}
        self._taken_in = set()
        await self._before(set_time)
        try:
            async with frozen(self._guest, self._source.host, self._log, self._hooks):
                at = self._clock()
                for pool in self._selections:
                    datasets |= await self._take_in_pool(pool, name, since)
        except ZsrError:
            await self.destroy(name)
            raise
        await self._after()
        if not datasets or not _knows_bases(datasets, volumes):
            datasets = dict((await source_inventory(self._guest, self._storages, self._source)).datasets)
        if self._taken_in:
            self._log("info", f"snapshot {name}")
        return SnapshotResult(name, set_time, at, Inventory(datasets), bool(self._taken_in))

    async def destroy(self, name: str) -> None:
        """Destroy the set just taken, which cannot be used; the next run destroys what remains of it."""
        if self._taken_in:
            on_source = await source_inventory(self._guest, self._storages, self._source)
            for permit in decide_useless_set(on_source, name, self._taken_in):
                await attempt(self._source.destroy_snapshots(permit), self._log)
            for marks in decide_useless_sets_bookmarks(on_source, name, self._taken_in):
                await attempt(self._source.destroy_bookmarks(marks), self._log)

    async def _take_in_pool(self, pool: str, name: str, since: str) -> Mapping[str, Dataset]:
        """Take the snapshots in one pool; return its volumes, none where this ZFS cannot list them meanwhile."""
        selection = self._selections[pool]
        request = SnapshotRequest(
            self._source.node,
            name,
            selection.places,
            selection.names,
            selection.excluded,
            since,
            self._bookmarks,
            self._fence,
            selection.branches,
            self._travels,
        )
        outcome = await self._source.snapshot_if_changed(pool, request)
        if outcome is None or outcome.taken:
            self._taken_in.add(pool)
        if outcome is None:
            await self._take_by_commands(pool, name)
        return {} if outcome is None else outcome.inventory.datasets

    async def _take_by_commands(self, pool: str, name: str) -> None:
        """Take the snapshots in one pool by a command, unless a program took them before it met a limit.

        A snapshot of that name that is not marked as taken here is in the way: the command fails.
        """
        on_source = await source_inventory(self._guest, self._storages, self._source)
        datasets = source_datasets(self._guest, self._storages, self._source.node, on_source)
        volumes = [on_source.datasets[dataset] for dataset in datasets if pool_of(dataset) == pool]
        taken = [each for each in volumes if (s := each.named(name)) is not None and s.source == self._source.node]
        if len(taken) == len(volumes):
            return
        if taken:  # at another moment than the others would be
            await self.destroy(name)
        await self._source.snapshot([f"{volume.name}@{name}" for volume in volumes])


def _knows_bases(datasets: dict[str, Dataset], volumes: Iterable[VolumePair]) -> bool:
    """Return whether each base is found without bookmarks, which a channel program does not list."""
    sides = [(datasets.get(pair.source.name), pair.target) for pair in volumes]
    return all(source is not None and (target is None or choose_base(source, target)) for source, target in sides)
