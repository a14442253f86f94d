"""The grace of vanished volumes in a run: count it, report it, and destroy replicas when it is over.

This comes after the proof, and looks at both sides once more, at all that is in the source's pools: a volume that came
back meanwhile, or that goes on under another name, guest or storage, keeps its replica.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from replicator.common.durations import words
from replicator.common.tasks import gather_two
from replicator.errors import ConfigError, ZsrError
from replicator.models import Guest, Storage, Vanished
from replicator.replication.context import RunContext, RunRecorder
from replicator.replication.destruction import (
    Stays,
    decide_all_bookmarks,
    decide_left_out,
    decide_vanished,
)
from replicator.replication.discovery import Discovered, discover, source_datasets
from replicator.replication.plan import VolumePair
from replicator.replication.prepare_target import destroy_or_keep
from replicator.replication.progress import Log
from replicator.replication.provenance import Direction
from replicator.replication.trees import first_below
from replicator.replication.vanished import left_over
from replicator.replication.verification import attempt
from replicator.schedule.grace import NEVER, Terms, left
from replicator.zfs.client import ZfsClient
from replicator.zfs.dataset_names import LEVELS, owning_path
from replicator.zfs.model import Dataset, Inventory, pool_of
from replicator.zfs.permits import ReplicaPermit

AGAIN = "again"
"""Instead of the reason why a replica was kept: its last day begins again, see `schedule.grace.last_day`."""


async def source_pools(storages: Iterable[Storage], source: ZfsClient) -> Inventory:
    """Return all that is in the pools of the source's storages, with bookmarks.

    Raises:
        ZsrError: one of them cannot be listed.
    """
    pools = sorted({pool_of(each.path_on(source.node)) for each in storages if each.allowed_on(source.node)})
    found: dict[str, Dataset] = {}
    for pool in pools:
        found |= (await source.inventory(pool, depth=LEVELS, bookmarks=True)).datasets
    return Inventory(found)


def read_for(replica: str, way: Direction, storages: Iterable[Storage], on_source: Inventory) -> Inventory | None:
    """Return what was read of the source where a replica's volume would be seen; None where nobody looked.

    That is so in a storage that only other nodes may use, and that lies on the target inside one that was read. Pure.
    """
    there = [each for each in storages if each.allowed_on(way.target)]
    path = owning_path(replica, {each.path_on(way.target) for each in there})
    inside = [each for each in there if each.path_on(way.target) == path]
    return on_source if not inside or any(each.allowed_on(way.source) for each in inside) else None


def left_out_as(
    replica: str,
    way: Direction,
    storages: Iterable[Storage],
    neighbours: Iterable[Guest],
    volumes: Iterable[VolumePair],
    on_source: Inventory,
) -> frozenset[str]:
    """Return the datasets of the source that a replica is of by its name, and that the settings leave out of the job.

    One that another guest of the node has is not left out: it goes on there. Pure.
    """
    everywhere = tuple(storages)
    paths = {each.path_on(way.target) for each in everywhere if each.allowed_on(way.target)}
    path = owning_path(replica, paths)
    if path is None:
        return frozenset()
    name = replica[len(path) :]
    here = (each for each in everywhere if each.path_on(way.target) == path and each.allowed_on(way.source))
    own = {f"{each.path_on(way.source)}{name}" for each in here} & on_source.datasets.keys()
    own -= {pair.source.name for pair in volumes}
    try:
        others = {each for guest in neighbours for each in source_datasets(guest, everywhere, way.source, on_source)}
    except ConfigError:  # a guest's volumes are not known
        return frozenset()
    return frozenset(own - others)


@dataclass(slots=True)
class _Ended:
    """What became of replicas whose grace is over; ``unsure``: kept, unless a failing command destroyed them."""

    destroyed: list[str] = field(default_factory=list)
    kept: dict[str, str] = field(default_factory=dict)
    unsure: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Graces:
    """Counts and ends the graces of one job, in one run that has proven that the target has all."""

    context: RunContext
    way: Direction
    source: ZfsClient
    target: ZfsClient
    recorder: RunRecorder
    log: Log
    clock: Callable[[], float]

    async def go_on(self, orphans: Sequence[Dataset], volumes: Iterable[VolumePair], unread: Sequence[str]) -> None:
        """Report and count the replicas whose volumes are gone, and destroy those whose grace is over.

        Args:
            orphans: these replicas.
            volumes: the guest's volumes.
            unread: the paths on the target that could not be read.
        """
        found = {each.name: each.guid for each in orphans}
        back = [pair.target_name for pair in volumes if pair.target is not None]
        records = {each.dataset: each for each in await self.recorder.vanished(found, back, unread)}
        ending = {name: record for name, record in records.items() if record.ending and name in found}
        for name in sorted(found.keys() - ending.keys()):
            self.log("warning", f"'{name}' on {self.target.node}: {self._words(records.get(name))}")
        if ending:
            ended = await self._end(ending)
            await self.recorder.graces_ended(ended.destroyed, ended.kept, ended.unsure)

    @property
    def _terms(self) -> Terms:
        return Terms(self.context.job.grace)

    def _words(self, record: Vanished | None) -> str:
        gone = "its volume is gone from the source"
        if record is None or record.kept:
            return f"{gone}; the replica is kept{f': {record.kept}' if record is not None else ''}"
        rest = left(record, self._terms)
        return f"{gone}; the replica is kept{'' if rest == NEVER else f' for another {words(rest)}'}"

    async def _end(self, records: Mapping[str, Vanished]) -> _Ended:
        """Destroy replicas as far as `destruction.decide_vanished` permits."""
        context, storages, ended = self.context, self.context.storages, _Ended()
        try:
            found, here = await gather_two(
                discover(context.job, context.guest, storages, self.source, self.target),
                source_pools(storages, self.source),
            )
        except ZsrError as error:
            ended.kept |= {name: self._kept(name, f"its grace is over, but: {error.what}") for name in records}
            return ended
        for replica in sorted(left_over(self.way, found), key=lambda each: -each.name.count("/")):  # children first
            if replica.name in records:
                await self._end_one(replica, records[replica.name], found, here, ended)
        return ended

    def _kept(self, name: str, why: str) -> str:
        self.log("warning", f"'{name}' on {self.target.node} is kept: {why}")
        return why

    async def _end_one(
        self, replica: Dataset, record: Vanished, found: Discovered, here: Inventory, ended: _Ended
    ) -> None:
        context, name = self.context, replica.name
        left_out = left_out_as(name, self.way, context.storages, context.neighbours, found.volumes, here)
        others = [*(pair.target for pair in found.volumes), *found.orphans]
        below = first_below(name, (each for each in others if each is None or each.name not in ended.destroyed))
        read = read_for(name, self.way, context.storages, here)
        decision = decide_vanished(self.way, replica, record, self._terms, read, left_out, below)
        if isinstance(decision, Stays):
            ended.kept[name] = AGAIN if decision.again else self._kept(name, decision.why)
            return
        paths = [each.path_on(self.target.node) for each in context.storages if each.allowed_on(self.target.node)]
        path = owning_path(name, paths) or name.rpartition("/")[0]
        self.log("warning", f"'{name}' on {self.target.node}: the grace of its volume is over")
        try:
            await destroy_or_keep(decision, replica, path, found.diverged, self.target, self.clock(), self.log)
        except ZsrError as error:
            ended.kept[name] = self._kept(name, error.what)
            ended.unsure.add(name)
            return
        if isinstance(decision, ReplicaPermit):
            ended.destroyed.append(name)
            for each in left_out:
                await self._clean_source(here.datasets[each])

    async def _clean_source(self, dataset: Dataset) -> None:
        """Destroy what this node took for the job of a volume that is left out; a failure is only logged."""
        await attempt(self.source.destroy_snapshots(decide_left_out(self.way, dataset)), self.log)
        await attempt(self.source.destroy_bookmarks(decide_all_bookmarks(self.way.job, dataset)), self.log)
