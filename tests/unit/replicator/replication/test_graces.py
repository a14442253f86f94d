"""The end of a grace in a run: one more look, then the destruction, and the record of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest

from replicator.errors import ZfsError
from replicator.models import Guest, Job, KnownSets, Storage, Synced, Vanished
from replicator.replication.context import RunContext, RunRecorder
from replicator.replication.grace_ends import Graces
from replicator.zfs.client import ZfsClient
from replicator.zfs.model import Dataset, Inventory, Snapshot
from replicator.zfs.permits import ReplicaPermit
from tests.support.volumes import JOB, WAY, bookmark, dataset, pair, snap

DAY, NOW = 86400.0, 1_800_000_000.0
NAME = "pool/vm-100-disk-1"
REPLICA = dataset(snap(1), name=NAME, job=str(JOB), readonly=True, mounted=False)
OVER = Vanished(NAME, REPLICA.guid, NOW, NOW, waited=8 * DAY, announced=6 * DAY, ending=True)


def volume(name: str, *snapshots: Snapshot, **more: Any) -> Dataset:
    """A dataset of the source."""
    return replace(dataset(*snapshots, name=name, **more), guid=50)


VOLUME = volume("tank/data/vm-100-disk-0", snap(9))


class Node:
    """A node with some datasets; notes the paths that are listed, and what is destroyed."""

    def __init__(self, node: str, *found: Dataset) -> None:
        self.node = node
        self.found = found
        self.looks: list[str] = []
        self.destroyed: list[str] = []
        self.fails = ""

    async def inventory(
        self, path: str, *, depth: int = 2, bookmarks: bool = False, marks_of: str | None = None
    ) -> Inventory:
        self.looks.append(path)
        if self.fails == "list":
            raise ZfsError("It cannot be listed.")
        below = [each for each in self.found if f"{each.name}/".startswith(f"{path}/")]
        near = [each for each in below if each.name.count("/") - path.count("/") <= depth]
        return Inventory({each.name: each if bookmarks else replace(each, bookmarks=()) for each in near})

    async def destroy_replica(self, permit: ReplicaPermit) -> None:
        self.destroyed.append(permit.dataset)
        if self.fails == "destroy":
            raise ZfsError("The connection broke.")


@dataclass
class Notes:
    """What a run recorded of graces."""

    records: Sequence[Vanished]
    back: Collection[str] = ()
    unread: Collection[str] = ()
    ended: list[tuple[list[str], dict[str, str], set[str]]] = field(default_factory=list)

    async def vanished(
        self, found: Mapping[str, int], back: Collection[str], unread: Collection[str], /
    ) -> Sequence[Vanished]:
        self.back, self.unread = back, unread
        return self.records

    async def graces_ended(self, gone: Collection[str], kept: Mapping[str, str], unsure: Collection[str]) -> None:
        self.ended.append((list(gone), dict(kept), set(unsure)))


DATA = Storage("data", "tank/data", paths=(("beta", "pool"),))


async def end(
    notes: Notes, source: Node, target: Node, back: Sequence[Dataset] = (), *,
    storages: tuple[Storage, ...] = (DATA,), gone: Dataset = REPLICA,
) -> None:  # fmt: skip
    """Let a run go on with the grace of the replica, which it saw without a volume."""
    job = Job(JOB, "beta", grace=7 * DAY)
    context = RunContext(job, Guest(100, "web", "alpha"), storages, 60.0, Synced(), last_run_failed=False)
    nothing: Any = None
    recorder = RunRecorder(nothing, nothing, notes.vanished, notes.graces_ended, nothing, nothing, nothing, nothing)
    here, there = cast(ZfsClient, source), cast(ZfsClient, target)
    way = replace(WAY, known=KnownSets(sent=frozenset(each.guid for each in REPLICA.snapshots)))
    graces = Graces(context, way, here, there, recorder, lambda level, text: None, lambda: NOW)
    await graces.go_on([gone], [pair(VOLUME, each) for each in back], ["slow/data"])


async def test_the_replica_is_destroyed_and_that_is_recorded() -> None:
    notes, source, target = Notes([OVER]), Node("alpha", VOLUME), Node("beta", REPLICA)
    await end(notes, source, target)
    assert target.destroyed == [NAME]
    assert notes.ended == [([NAME], {}, set())]


async def test_nothing_is_looked_at_again_while_it_lasts() -> None:
    notes, source, target = Notes([replace(OVER, ending=False)]), Node("alpha", VOLUME), Node("beta", REPLICA)
    await end(notes, source, target)
    assert (source.looks, target.looks, target.destroyed, notes.ended) == ([], [], [], [])


@pytest.mark.parametrize(
    "live",
    [
        volume("tank/vm-200-disk-0", snap(1)),
        volume("tank/a/b/c/d/e/f/g", snap(1)),
        volume("tank/other/mine", bookmarks=(bookmark(1),)),
    ],
    ids=["outside the storages", "many levels down", "only a bookmark"],
)
async def test_a_volume_anywhere_in_the_pool_that_has_something_in_common_keeps_it(live: Dataset) -> None:
    notes, target = Notes([OVER]), Node("beta", REPLICA)
    await end(notes, Node("alpha", VOLUME, live), target)
    assert target.destroyed == []
    assert notes.ended == [([], {NAME: f"it continues on alpha as {live.name}"}, set())]


async def test_a_volume_that_was_renamed_since_the_look_goes_on_with_it() -> None:
    renamed = volume("tank/data/vm-100-disk-7", snap(1))
    notes, target = Notes([OVER]), Node("beta", REPLICA)
    await end(notes, Node("alpha", VOLUME, renamed), target)
    assert target.destroyed == []
    assert notes.ended == [([], {}, set())]


async def test_a_storage_that_only_other_nodes_may_use_is_not_read_on_the_source() -> None:
    """On the target it lies inside one that is read; on the source the volume is in a pool of its own."""
    inner = Storage("fast", "fast", frozenset({"beta"}), paths=(("beta", "pool/fast"),))
    gone = replace(REPLICA, name="pool/fast/vm-100-disk-1")
    live = volume("fast/vm-100-disk-1", *gone.snapshots)
    notes, source, target = Notes([replace(OVER, dataset=gone.name)]), Node("alpha", VOLUME, live), Node("beta", gone)

    await end(notes, source, target, storages=(DATA, inner), gone=gone)

    assert target.destroyed == []
    assert notes.ended == [([], {gone.name: "its grace is over, and the source was not read"}, set())]


async def test_a_source_that_cannot_be_read_keeps_it_and_says_why() -> None:
    notes, source, target = Notes([OVER]), Node("alpha", VOLUME), Node("beta", REPLICA)
    source.fails = "list"
    await end(notes, source, target)
    assert target.destroyed == []
    assert notes.ended == [([], {NAME: "its grace is over, but: It cannot be listed."}, set())]


async def test_an_order_that_failed_may_have_destroyed_it() -> None:
    notes, source, target = Notes([OVER]), Node("alpha", VOLUME), Node("beta", REPLICA)
    target.fails = "destroy"
    await end(notes, source, target)
    assert notes.ended == [([], {NAME: "The connection broke."}, {NAME})]


async def test_replicas_that_have_a_volume_are_named_as_such() -> None:
    notes = Notes([])
    await end(notes, Node("alpha"), Node("beta"), back=[REPLICA])
    assert list(notes.back) == ["pool/vm-100-disk-0"]


async def test_what_could_not_be_read_is_named_so_that_nothing_there_is_forgotten() -> None:
    notes = Notes([])
    await end(notes, Node("alpha"), Node("beta"))
    assert list(notes.unread) == ["slow/data"]
