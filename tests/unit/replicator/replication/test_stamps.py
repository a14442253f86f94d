"""The stamps of a run's volumes: which of them refuse it, what is read again before, and what is set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import pytest

from replicator.errors import StorageMissingError, SupersededError, TargetActiveError, ZfsError, ZsrError
from replicator.models import Storage
from replicator.replication.discovery import Discovered, TargetInventory
from replicator.replication.stamps import Stamps
from replicator.zfs.channel_programs import PruneResult
from replicator.zfs.client import ZfsClient
from replicator.zfs.fence import Fence, Guard, Stamped
from replicator.zfs.model import Dataset, Inventory
from tests.support.volumes import JOB, WAY, dataset, pair, snap

FENCE = Fence(JOB, "alpha", 2)
POOL = Storage("data", "pool")
REPLICA = "pool/vm-100-disk-0"


class Node:
    """A node whose datasets have the stamps that were listed, or only some ``own`` ones; notes what it is asked."""

    def __init__(self, name: str, own: Sequence[Stamped] | None = None, *, programs: bool = True) -> None:
        self.node = name
        self.own = own
        self.programs = programs
        self.asked: list[str] = []
        self.stamped: list[str] = []
        self.fails: ZsrError | None = None

    async def local_stamps(self, datasets: Sequence[str]) -> list[Stamped]:
        self.asked += datasets
        return [each for each in self.own or () if each.dataset in datasets]

    async def verify_and_prune(self, pool: str, *, guard: Guard) -> PruneResult | None:
        if self.fails:
            raise self.fails
        if not self.programs:
            return None
        self.stamped += guard.stamped
        assert set(guard.stamped) <= set(guard.compared)
        return PruneResult({}, (), can_bookmark=True)

    async def stamp(self, fence: Fence, datasets: Sequence[str]) -> None:
        self.stamped += [f"{name} by command" for name in datasets]


def stamps(source: Node, target: Node) -> Stamps:
    """Those of alpha's job at epoch 2."""
    here, there = cast(ZfsClient, source), cast(ZfsClient, target)
    return Stamps(FENCE, [POOL], here, there, lambda level, text: None)


def replica(owner: str | None = None, epoch: str | None = None, **more: object) -> Dataset:
    """The volume's replica with these stamps."""
    known = {"name": REPLICA, "job": str(JOB), "readonly": True, "owner": owner, "epoch": epoch, **more}
    return dataset(snap(1), **known)  # type: ignore[arg-type]


async def refuse(
    source: Dataset, target: Dataset | None, *others: Dataset, own: Sequence[Stamped] | None = None
) -> Node:
    """Ask whether alpha may push; the target, as it was asked. ``own``: the local stamps where not all are."""
    there = [each for each in (target, *others) if each is not None]
    beta = Node("beta", [each.stamped for each in there] if own is None else own)
    alpha = Node("alpha", [source.stamped])
    found = TargetInventory({"data": Inventory({each.name: each for each in there})})
    await stamps(alpha, beta).refuse(WAY, Discovered((pair(source, target),), (), ()), found)
    return beta


class TestARunIsRefused:
    async def test_by_a_later_epoch_on_the_target(self) -> None:
        with pytest.raises(SupersededError, match="beta since epoch 3"):
            await refuse(dataset(snap(1)), replica("beta", "3"))

    async def test_by_a_later_epoch_on_the_source(self) -> None:
        with pytest.raises(SupersededError, match="node alpha"):
            await refuse(dataset(snap(1), owner="beta", epoch="3"), replica("alpha", "2"))

    async def test_by_another_owner_at_its_epoch(self) -> None:
        with pytest.raises(SupersededError, match="same epoch"):
            await refuse(dataset(snap(1)), replica("beta", "2"))

    async def test_by_an_epoch_that_is_none(self) -> None:
        with pytest.raises(SupersededError, match="not a number"):
            await refuse(dataset(snap(1)), replica("alpha", "many"))

    @pytest.mark.parametrize("name", ["pool/vm-100-disk-7", "pool/subvol-100-x"])
    async def test_by_another_volume_of_the_guest_there(self, name: str) -> None:
        with pytest.raises(SupersededError, match=name):
            await refuse(dataset(snap(1)), None, dataset(name=name, owner="beta", epoch="3"))

    async def test_by_a_volume_of_any_name_that_another_job_of_the_guest_marked(self) -> None:
        with pytest.raises(SupersededError):
            await refuse(dataset(snap(1)), None, dataset(name="pool/x", job="100-7", owner="beta", epoch="3"))


class TestARunGoesOn:
    async def test_where_nothing_is_stamped_yet_and_asks_nothing(self) -> None:
        assert (await refuse(dataset(snap(1)), replica())).asked == []

    async def test_past_older_stamps_and_asks_nothing(self) -> None:
        assert (await refuse(dataset(snap(1), owner="beta", epoch="1"), replica("gamma", "1"))).asked == []

    async def test_past_stamps_that_are_not_the_volumes_own(self) -> None:
        assert (await refuse(dataset(snap(1)), replica("beta", "9"), own=())).asked == [REPLICA]

    @pytest.mark.parametrize(
        "name",
        ["pool/vm-1000-disk-0", "pool/vm-101-disk-0", "pool/zsr-diverged/vm-100-disk-0-1"],
        ids=["a longer number", "another number", "kept aside"],
    )
    async def test_past_volumes_of_other_guests_and_what_is_kept_aside(self, name: str) -> None:
        assert (await refuse(dataset(snap(1)), replica(), dataset(name=name, owner="beta", epoch="9"))).asked == []

    async def test_past_an_old_copy_by_another_name_that_is_only_disputed(self) -> None:
        await refuse(dataset(snap(1)), replica(), dataset(name="pool/vm-100-disk-0-old", owner="beta", epoch="2"))

    async def test_past_a_storage_that_is_not_there(self) -> None:
        found = TargetInventory({"data": StorageMissingError("gone")})
        empty = Discovered((), (), ())
        await stamps(Node("alpha"), Node("beta")).refuse(WAY, empty, found)


class TestADisputedGuest:
    async def test_is_refused_with_the_advice_of_the_plan_if_that_has_a_conflict(self) -> None:
        """The guest's own volume lies there unmarked: it was moved by hand."""
        own = replica("beta", "2", job=None)
        with pytest.raises(TargetActiveError, match="zsr:job"):
            await refuse(dataset(snap(1), owner="beta", epoch="2"), own)

    async def test_but_a_later_epoch_comes_first(self) -> None:
        with pytest.raises(SupersededError, match="epoch 3"):
            await refuse(dataset(snap(1), owner="beta", epoch="2"), replica("beta", "3", job=None))


class TestStampsThatLag:
    OLD = (dataset(snap(1), name="tank/a", owner="beta", epoch="1"), replica())

    @pytest.mark.parametrize(("programs", "how"), [(True, ""), (False, " by command")], ids=["program", "command"])
    async def test_are_brought_up_on_both_sides(self, programs: bool, how: str) -> None:
        alpha, beta = Node("alpha", programs=programs), Node("beta", programs=programs)
        await stamps(alpha, beta).keep_in_step([pair(*self.OLD)])
        assert (alpha.stamped, beta.stamped) == ([f"tank/a{how}"], [f"{REPLICA}{how}"])

    async def test_cost_nothing_once_they_are_right(self) -> None:
        alpha, beta = Node("alpha"), Node("beta")
        right = {"owner": "alpha", "epoch": "2"}
        await stamps(alpha, beta).keep_in_step([pair(*(replace(each, **right) for each in self.OLD))])  # type: ignore[arg-type]
        assert (alpha.stamped, beta.stamped) == ([], [])

    async def test_do_not_fail_a_run_if_they_cannot_be_set(self) -> None:
        alpha, beta = Node("alpha"), Node("beta")
        beta.fails = ZfsError("no")
        await stamps(alpha, beta).keep_in_step([pair(*self.OLD)])
        assert alpha.stamped == ["tank/a"]

    async def test_fail_the_run_where_a_volume_refuses_them(self) -> None:
        """Another node took the guest over since the look: what the run would claim next is not its own any more."""
        beta = Node("beta")
        beta.fails = SupersededError("no")
        with pytest.raises(SupersededError):
            await stamps(Node("alpha"), beta).keep_in_step([pair(*self.OLD)])
