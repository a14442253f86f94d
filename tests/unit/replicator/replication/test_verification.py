"""Verification comes before pruning: while one volume's new snapshot is missing, nothing older goes anywhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import cast

import pytest

from replicator.errors import SupersededError, ZfsError, ZsrError
from replicator.models import KnownSets, Volume
from replicator.replication.plan import VolumePair
from replicator.replication.provenance import Direction
from replicator.replication.snapshot_sets import made_meanwhile
from replicator.replication.verification import TargetVerification, attempt
from replicator.zfs.channel_programs import PruneResult, ReceivedReplica
from replicator.zfs.client import ZfsClient
from replicator.zfs.fence import Fence, Guard, Stamped
from replicator.zfs.model import Bookmark, Dataset, Inventory
from replicator.zfs.permits import BookmarksPermit, Law, SnapshotsPermit
from replicator.zfs.snapshot_names import job_prefix
from tests.support.volumes import JOB, WAY, bookmark, dataset, pair, snap

NEW = snap(2)


class Target:
    """A target that notes what is destroyed; ``programs``: its ZFS compares and destroys in one transaction."""

    node = "beta"

    def __init__(self, *found: Dataset, programs: bool) -> None:
        self.destroyed: list[str] = []
        self.datasets = {each.name: each for each in found}
        self._programs = programs
        self.tagged: list[str] = []
        self.cannot_tag = False
        self.guards: list[Guard | None] = []

    async def local_stamps(self, datasets: Sequence[str]) -> list[Stamped]:
        return [self.datasets[name].stamped for name in datasets]

    async def stamp(self, fence: Fence, datasets: Sequence[str]) -> None:
        self.tagged += [f"{name} stamped" for name in datasets]

    async def verify_and_prune(
        self,
        pool: str,
        *,
        expected: Iterable[tuple[str, int]] = (),
        stale: Sequence[SnapshotsPermit],
        received: Iterable[ReceivedReplica] = (),
        guard: Guard | None,
        bookmarks: Iterable[tuple[str, str]] = (),
        bookmarks_of: Sequence[str] = (),
    ) -> PruneResult | str | None:
        self.guards.append(guard)
        if not self._programs:
            return None
        for name, guid in expected:
            if self.datasets[name.partition("@")[0]].by_guid(guid) is None:
                return name
        self.destroyed += [name for permit in stale for name in permit.names]
        here = tuple(name for each in received for name in made_meanwhile(each, self.datasets.get(each.dataset)))
        return PruneResult({}, (), can_bookmark=True, made_here=here, untagged=here if self.cannot_tag else ())

    async def set_properties(self, dataset: str, properties: Mapping[str, str]) -> None:
        self.tagged += [f"{dataset} {key}={value}" for key, value in properties.items()]

    async def destroy_snapshots(self, permit: SnapshotsPermit) -> None:
        self.destroyed += permit.names


async def verify(target: Target, *received: ReceivedReplica, way: Direction = WAY) -> None:
    """Verify the new set of all volumes on the target, where the older one is stale."""
    volumes = [
        VolumePair(Volume(name.partition("/")[0], "a"), "", dataset(snap(1), NEW), name, found)
        for name, found in target.datasets.items()
    ]
    stale = [SnapshotsPermit(Law.PROVEN_STAYS, "", name, (snap(1),)) for name in target.datasets]
    beta = cast(ZfsClient, target)

    async def listed() -> dict[str, Dataset]:
        return target.datasets

    verification = TargetVerification(way, NEW.name, beta, beta, lambda level, text: None, bookmarks=True)
    await verification.verify(volumes, stale, received, listed)


def replica(name: str, *guids: int) -> Dataset:
    """A replica with the older set and what is there under the new one's name."""
    return dataset(snap(1), *(snap(guid, NEW.name) for guid in guids), name=name)


PROGRAMS = pytest.mark.parametrize("programs", [True, False], ids=["one transaction", "by commands"])


@PROGRAMS
async def test_the_older_set_goes_once_the_new_one_is_whole(programs: bool) -> None:
    target = Target(replica("pool/a", 2), replica("pond/a", 2), programs=programs)
    await verify(target)
    assert sorted(target.destroyed) == [f"pond/a@{snap(1).name}", f"pool/a@{snap(1).name}"]


@PROGRAMS
@pytest.mark.parametrize("pools", [("pond", "pool"), ("pool", "pond")])
async def test_a_volume_that_did_not_arrive_in_one_pool_keeps_the_older_set_in_all(
    pools: tuple[str, str], programs: bool
) -> None:
    target = Target(replica(f"{pools[0]}/a", 2), replica(f"{pools[1]}/a"), programs=programs)
    with pytest.raises(ZfsError, match="is not on node beta"):
        await verify(target)
    assert target.destroyed == []


async def test_a_snapshot_of_the_new_ones_name_is_no_proof_of_it() -> None:
    target = Target(replica("pool/a", 9), programs=False)
    with pytest.raises(ZfsError, match="is not on node beta"):
        await verify(target)
    assert target.destroyed == []


MEANWHILE = replace(snap(3, "somebodys"), createtxg=9)
"""A snapshot that was created on a replica after it was listed."""


@pytest.mark.parametrize(("programs", "cannot_tag"), [(True, False), (True, True), (False, False)])
async def test_what_was_created_on_a_replica_meanwhile_is_tagged_once(programs: bool, cannot_tag: bool) -> None:
    target = Target(dataset(snap(1), snap(2), MEANWHILE, name="pool/a"), programs=programs)
    target.cannot_tag = cannot_tag
    await verify(target, ReceivedReplica("pool/a", 1, frozenset({2}), job_prefix(JOB)))
    assert target.tagged == ([] if programs and not cannot_tag else ["pool/a@somebodys zsr:job=nobody"])


@PROGRAMS
async def test_nothing_is_tagged_while_the_set_is_not_proven(programs: bool) -> None:
    target = Target(dataset(snap(1), MEANWHILE, name="pool/a"), programs=programs)
    with pytest.raises(ZfsError, match="is not on node beta"):
        await verify(target, ReceivedReplica("pool/a", 1, frozenset({2}), job_prefix(JOB)))
    assert target.tagged == []


FENCED = replace(WAY, fence=Fence(JOB, "alpha", 2))


class TestTheFence:
    async def test_is_compared_by_each_program_and_stamps_with_the_last(self) -> None:
        target = Target(replica("pool/a", 2), replica("pond/a", 2), programs=True)
        await verify(target, way=FENCED)
        compared = [None if guard is None else (guard.fence, guard.compared, guard.stamped) for guard in target.guards]
        one, two = ("pond/a",), ("pool/a",)
        fence = FENCED.fence
        assert compared == [(fence, one, ()), (fence, two, ()), (fence, one, one), (fence, two, two)]

    async def test_that_a_replica_refuses_lets_nothing_go_by_commands_either(self) -> None:
        target = Target(replace(replica("pool/a", 2), owner="gamma", epoch="3"), programs=False)
        with pytest.raises(SupersededError, match="epoch 3"):
            await verify(target, way=FENCED)
        assert (target.destroyed, target.tagged) == ([], [])

    async def test_that_refuses_is_no_failure_that_the_next_step_may_follow(self) -> None:
        async def fail(error: ZsrError) -> None:
            raise error

        said: list[str] = []
        assert not await attempt(fail(ZfsError("It is busy.")), lambda level, text: said.append(text))
        with pytest.raises(SupersededError):
            await attempt(fail(SupersededError("no")), lambda level, text: said.append(text))
        assert said == ["It is busy."]


async def test_what_a_reseed_in_the_making_needs_stays_on_the_source() -> None:
    source = Target(programs=True)
    volume = dataset(snap(1), NEW, replace(snap(3), createtxg=3))
    making = dataset(snap(1), name="pool/zsr-diverged/vm-100-disk-0-reseed", job=str(JOB))
    way = replace(WAY, known=KnownSets(taken=(1001, 1002, 1003)))
    alpha = cast(ZfsClient, source)
    proof = TargetVerification(way, snap(3).name, alpha, alpha, lambda level, text: None, bookmarks=True)
    source.datasets = {volume.name: volume}
    await proof.prune_source([replace(pair(volume, None), reseed=making)])
    assert source.destroyed == [f"tank/a@{NEW.name}"]


class Bookmarked(Target):
    """A source whose volume has bookmarks."""

    async def verify_and_prune(self, pool: str, **_: object) -> PruneResult:
        names = [f"{each.name}#{mark.name}" for each in self.datasets.values() for mark in each.bookmarks]
        return PruneResult({}, tuple(names), can_bookmark=True)

    async def inventory(self, path: str, *, depth: int, bookmarks: bool) -> Inventory:
        return Inventory(self.datasets)

    async def destroy_bookmarks(self, permit: BookmarksPermit) -> None:
        self.destroyed += [f"#{each.guid}" for each in permit.bookmarks]


@pytest.mark.parametrize("bookmarks", [True, False])
async def test_a_node_that_wants_no_bookmarks_destroys_those_of_the_job(bookmarks: bool) -> None:
    """Else those of the time before would still forbid the guest's own rollback."""
    theirs = Bookmark("theirs", 7, 7, 7)
    volume = dataset(snap(1), NEW, bookmarks=(bookmark(1), bookmark(2), theirs))
    source = Bookmarked(volume, programs=True)
    alpha = cast(ZfsClient, source)
    proof = TargetVerification(WAY, NEW.name, alpha, alpha, lambda level, text: None, bookmarks=bookmarks)
    await proof.prune_source([pair(volume, None)])
    assert source.destroyed == ([] if bookmarks else ["#1", "#2"])
