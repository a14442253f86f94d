"""A set that cannot be used is taken back, but only what this very run took of it."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import pytest

from replicator.errors import ZfsError
from replicator.models import Guest, Storage, Synced
from replicator.replication.snapshotting import SnapshotTaker
from replicator.zfs.channel_programs import SnapshotOutcome, SnapshotRequest
from replicator.zfs.client import ZfsClient
from replicator.zfs.fence import Fence
from replicator.zfs.model import Dataset, Inventory
from replicator.zfs.permits import BookmarksPermit, SnapshotsPermit
from tests.support.hook_notes import HookNotes
from tests.support.volumes import JOB, bookmark, dataset, snap

NAME = "tank/vm-100-disk-0"
FENCE = Fence(JOB, "alpha", 3)


class Source:
    """A source whose snapshots of other makers have any name; it takes one, or ``refuses``, and notes what goes."""

    node = "alpha"
    host = None

    def __init__(self) -> None:
        self.found: dict[str, Dataset] = {}
        self.refuses = False
        self.destroyed: list[str] = []
        self.fences: list[Fence | None] = []

    async def inventory(self, path: str, *, depth: int, bookmarks: bool, marks_of: str | None = None) -> Inventory:
        return Inventory({name: each for name, each in self.found.items() if name.startswith(f"{path}/")})

    async def snapshot_if_changed(self, pool: str, request: SnapshotRequest) -> SnapshotOutcome:
        if self.refuses:
            raise ZfsError("It exists.")
        self.fences.append(request.fence)
        self.found[NAME] = dataset(snap(1, request.name), name=NAME)
        return SnapshotOutcome(Inventory(self.found), taken=True)

    async def destroy_snapshots(self, permit: SnapshotsPermit) -> None:
        self.destroyed += permit.names

    async def destroy_bookmarks(self, permit: BookmarksPermit) -> None:
        self.destroyed += [f"{permit.dataset}#{mark.name}" for mark in permit.bookmarks]


def taker(source: Source, now: float, memory: list[str] | None = None) -> SnapshotTaker:
    """What takes the sets of a run whose clock shows ``now``; ``memory`` notes what the source had before each."""

    async def before(set_time: int) -> None:
        if memory is not None:
            memory.append(f"{set_time}: {len(source.found)} volumes with a snapshot")

    guest, storages = Guest(100, "web", "alpha"), [Storage("data", "tank")]
    alpha = cast(ZfsClient, source)
    return SnapshotTaker(
        JOB, guest, storages, alpha, lambda level, text: None, lambda: now, before, HookNotes(),
        bookmarks=False, fence=FENCE,
    )  # fmt: skip


async def test_a_set_that_this_run_took_is_taken_back() -> None:
    source = Source()
    sets = taker(source, 1001.0)
    taken = await sets.take((), Synced(), if_changed=False)
    await sets.destroy(taken.name)
    assert source.destroyed == [f"{NAME}@{taken.name}"]


async def test_a_second_set_of_a_run_that_was_refused_costs_nobody_the_snapshot_in_its_way() -> None:
    """The first one was taken, and given up because the target is in doubt."""
    source = Source()
    sets = taker(source, 1001.0)
    await sets.take((), Synced(), if_changed=False)
    source.refuses = True
    with pytest.raises(ZfsError):
        await sets.take((), Synced(), if_changed=False)
    assert source.destroyed == []


async def test_its_bookmarks_go_with_it_and_those_of_other_sets_stay() -> None:
    source = Source()
    sets = taker(source, 1001.0)
    taken = await sets.take((), Synced(), if_changed=False)
    old, new = bookmark(7), replace(bookmark(2), name=taken.name)
    source.found[NAME] = replace(source.found[NAME], bookmarks=(old, new))
    await sets.destroy(taken.name)
    assert source.destroyed == [f"{NAME}@{taken.name}", f"{NAME}#{taken.name}"]


async def test_a_set_is_remembered_before_it_is_taken_and_taken_behind_the_fence() -> None:
    memory: list[str] = []
    source = Source()
    await taker(source, 1001.0, memory).take((), Synced(), if_changed=False)
    assert memory == ["1001: 0 volumes with a snapshot"]
    assert source.fences == [FENCE]


class TestAProgramThatMeetsALimit:
    class Half(Source):
        """A source whose program fails after it has taken the snapshots of some volumes, marked with a node's name."""

        def __init__(self, taken: int, by: str = "alpha") -> None:
            super().__init__()
            self.taken: list[str] = []
            self._took = taken
            self._by = by

        async def snapshot_if_changed(self, pool: str, request: SnapshotRequest) -> SnapshotOutcome | None:  # type: ignore[override]
            for number in range(2):
                name = f"tank/vm-100-disk-{number}"
                new = replace(snap(1, request.name), source=self._by)
                self.found[name] = dataset(*([new] if number < self._took else []), name=name)
            return None

        async def snapshot(self, names: list[str]) -> None:
            self.taken += names

    async def test_after_it_took_all_snapshots_needs_no_more(self) -> None:
        source = self.Half(2)
        found = await taker(source, 1001.0).take((), Synced(), if_changed=False)
        assert (found.taken, source.taken, source.destroyed) == (True, [], [])

    async def test_before_it_took_one_is_made_good_by_a_command(self) -> None:
        source = self.Half(0)
        found = await taker(source, 1001.0).take((), Synced(), if_changed=False)
        assert source.taken == [f"tank/vm-100-disk-{number}@{found.name}" for number in range(2)]

    async def test_half_way_leaves_no_set_of_two_moments(self) -> None:
        source = self.Half(1)
        found = await taker(source, 1001.0).take((), Synced(), if_changed=False)
        assert source.destroyed == [f"tank/vm-100-disk-0@{found.name}"]
        assert len(source.taken) == 2

    async def test_does_not_make_anothers_snapshots_ours(self) -> None:
        source = self.Half(2, by="gamma")
        found = await taker(source, 1001.0).take((), Synced(), if_changed=False)
        assert source.taken == [f"tank/vm-100-disk-{number}@{found.name}" for number in range(2)]
