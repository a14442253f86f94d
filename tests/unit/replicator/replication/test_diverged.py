"""Replicas that are kept aside, as a storage's inventory shows them; nothing else may ever look like one."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import pytest

from replicator.errors import ConfigError, ZfsError
from replicator.models import JobId, Storage
from replicator.replication.diverged import (
    DivergedReplica,
    destroy_diverged,
    diverged_replicas,
    read_diverged,
    refuse_needed,
    refuse_only_copy,
)
from replicator.zfs.client import ZfsClient
from replicator.zfs.dataset_names import aside_stem
from replicator.zfs.model import Dataset, Inventory, Snapshot
from replicator.zfs.permits import ReplicaPermit
from replicator.zfs.snapshot_names import snapshot_name

PATH = "tank/data"
ASIDE = f"{PATH}/zsr-diverged"


def dataset(name: str, *written: int | None, job: str | None = "100-0", own: int | None = 0) -> Dataset:
    """A dataset with a snapshot for each number of bytes written."""
    snapshots = tuple(Snapshot(f"s{at}", at, at, at, size) for at, size in enumerate(written, 1))
    return Dataset(name, is_volume=True, guid=1, snapshots=snapshots, written=own, job=job)


def kept(*datasets: Dataset) -> list[DivergedReplica]:
    """What is kept aside among these."""
    return diverged_replicas("beta", PATH, Inventory({found.name: found for found in datasets}))


def test_a_replica_in_the_folder_is_listed_with_its_own_size() -> None:
    [found] = kept(dataset(ASIDE, job=None), dataset(f"{ASIDE}/vm-100-disk-0-7", 100, 20, own=3))

    assert (found.node, found.dataset, found.job) == ("beta", f"{ASIDE}/vm-100-disk-0-7", JobId(100, 0))
    assert (found.size, found.written) == (123, 3)
    assert [snapshot.name for snapshot in found.snapshots] == ["s1", "s2"]


def test_a_size_that_zfs_does_not_report_is_not_known() -> None:
    [found] = kept(dataset(f"{ASIDE}/a-7", None))

    assert found.size is None


def test_they_are_sorted_by_name() -> None:
    names = [found.dataset for found in kept(dataset(f"{ASIDE}/b-1"), dataset(f"{ASIDE}/a-2"))]

    assert names == [f"{ASIDE}/a-2", f"{ASIDE}/b-1"]


def test_what_lies_elsewhere_or_deeper_is_not_kept_aside() -> None:
    assert kept(dataset(f"{PATH}/vm-100-disk-0"), dataset(f"{ASIDE}/a/b"), dataset("tank/zsr-diverged/a-1")) == []


def test_a_dataset_of_another_tool_there_is_not_kept_aside() -> None:
    assert kept(dataset(f"{ASIDE}/mine", job=None), dataset(f"{ASIDE}/hers", job="by hand")) == []


def test_what_only_inherits_the_folders_mark_is_not_kept_aside() -> None:
    """An inventory has own marks only."""
    assert kept(dataset(ASIDE, job="100-0"), replace(dataset(f"{ASIDE}/mine", job=None), borrowed_marks=True)) == []


def test_a_replica_with_the_folders_mark_of_its_own_is_kept_aside() -> None:
    [found] = kept(dataset(ASIDE, job="100-0"), dataset(f"{ASIDE}/a-7", job="100-0"))
    assert found.dataset == f"{ASIDE}/a-7"


def test_its_clones_are_known() -> None:
    replica = replace(dataset(f"{PATH}/a"), origin=f"{ASIDE}/a-7@s1")
    other = replace(dataset(f"{PATH}/b"), origin=f"{ASIDE}/a-77@s1")

    [found] = kept(dataset(f"{ASIDE}/a-7", 1), replica, other)

    assert found.clones == (f"{PATH}/a",)
    with pytest.raises(ConfigError, match="is needed by its clones: tank/data/a"):
        refuse_needed(found)


def test_one_that_is_open_says_where_and_how_it_is_closed_also_after_it_was_renamed() -> None:
    clone = replace(
        dataset(f"{ASIDE}/a-7-open", job="opened-aside"), origin=f"{ASIDE}/a 8@s1", source="gamma", creation=9
    )

    [found] = kept(dataset(f"{ASIDE}/a 8", 1), clone)

    assert found.opened is not None
    assert (found.opened.place, found.opened.by, found.opened.since) == (f"/dev/zvol/{ASIDE}/a-7-open", "gamma", 9)
    with pytest.raises(ConfigError, match="is open on node beta: /dev/zvol/tank") as refused:
        refuse_needed(found)
    assert refused.value.advice == f"Close it first: zsr diverged close beta '{ASIDE}/a 8'."


def test_a_clone_of_that_name_that_zsr_did_not_make_does_not_open_it() -> None:
    [found] = kept(
        dataset(f"{ASIDE}/a-7", 1), replace(dataset(f"{ASIDE}/a-7-open", job=None), origin=f"{ASIDE}/a-7@s1")
    )
    assert found.opened is None
    with pytest.raises(ConfigError, match="needed by its clones"):
        refuse_needed(found)


def test_a_diverged_replica_without_a_clone_may_be_destroyed() -> None:
    [found] = kept(dataset(f"{ASIDE}/a-7", 1))

    refuse_needed(found)


def replica(name: str, *snapshots: str, job: str = "100-0") -> Dataset:
    """A replica with snapshots of these names."""
    found = dataset(name, job=job)
    return replace(found, snapshots=tuple(Snapshot(each, at, at, at, 0) for at, each in enumerate(snapshots, 1)))


SET = snapshot_name(JobId(100, 0), 1000)
ANOTHERS = snapshot_name(JobId(101, 0), 1000)


def test_a_diverged_replica_whose_place_another_one_has_taken_is_no_only_copy() -> None:
    [found] = kept(dataset(f"{ASIDE}/vm-100-disk-0-7", 1), replica(f"{PATH}/vm-100-disk-0", SET))
    assert found.successor == f"{PATH}/vm-100-disk-0"
    refuse_only_copy(found)


@pytest.mark.parametrize(
    "others",
    [
        [],
        [replica(f"{PATH}/vm-100-disk-0")],
        [replica(f"{PATH}/vm-100-disk-0", ANOTHERS)],
        [replica(f"{PATH}/vm-100-disk-0", SET, job="101-0")],
        [replica(f"{PATH}/vm-100-disk-1", SET)],
        [replica(f"{ASIDE}/vm-100-disk-0", SET)],
    ],
    ids=["nothing", "a first transfer", "no set of the job", "another job's", "another volume's", "another one aside"],
)
def test_a_diverged_replica_is_the_only_copy_beside(others: list[Dataset]) -> None:
    found = next(each for each in kept(dataset(f"{ASIDE}/vm-100-disk-0-7", 1), *others) if each.dataset.endswith("-7"))
    with pytest.raises(ConfigError, match="only copy of its volume"):
        refuse_only_copy(found)


@pytest.mark.parametrize(("mine", "other"), [("a/b", "a_b"), ("a_b", "a/b"), ("a/b_c", "a_b/c")])
def test_the_replica_of_a_volume_with_a_similar_name_takes_no_ones_place(mine: str, other: str) -> None:
    aside = dataset(f"{aside_stem(PATH, mine)}-7", 1)
    [found] = kept(aside, replica(f"{PATH}/{other}", SET))
    with pytest.raises(ConfigError, match="only copy of its volume"):
        refuse_only_copy(found)
    [found] = kept(aside, replica(f"{PATH}/{mine}", SET))
    assert found.successor == f"{PATH}/{mine}"


class Beta:
    """The node on which they are; notes what is destroyed."""

    node = "beta"

    def __init__(self, *found: Dataset) -> None:
        self.found = found
        self.destroyed: list[tuple[str, int, tuple[int, ...]]] = []
        self.fails = False

    async def inventory(self, path: str, *, depth: int) -> Inventory:
        if self.fails:
            raise ZfsError("no")
        return Inventory({each.name: each for each in self.found if f"{each.name}/".startswith(f"{path}/")})

    async def destroy_replica(self, permit: ReplicaPermit) -> None:
        self.destroyed.append((permit.dataset, permit.guid, tuple(each.guid for each in permit.snapshots)))


KEPT = dataset(f"{ASIDE}/vm-100-disk-0-7", 1)
STORAGES = [Storage("data", PATH)]


async def destroy(beta: Beta, name: str = KEPT.name, *, only_copy: bool = False) -> None:
    """Let a person destroy what is kept aside."""
    await destroy_diverged(name, STORAGES, cast(ZfsClient, beta), only_copy=only_copy)


class TestAPersonsOrder:
    async def test_destroys_what_another_replica_has_replaced_with_the_snapshots_that_it_has_now(self) -> None:
        beta = Beta(KEPT, replica(f"{PATH}/vm-100-disk-0", SET))
        await destroy(beta)
        assert beta.destroyed == [(KEPT.name, 1, (1,))]

    async def test_looks_again_whether_it_is_the_only_copy(self) -> None:
        """The replica that had taken its place may be gone since the question."""
        beta = Beta(KEPT)
        with pytest.raises(ConfigError, match="only copy"):
            await destroy(beta)
        assert beta.destroyed == []
        await destroy(beta, only_copy=True)
        assert beta.destroyed == [(KEPT.name, 1, (1,))]

    async def test_looks_again_whether_a_clone_needs_it(self) -> None:
        beta = Beta(KEPT, replace(replica(f"{PATH}/vm-100-disk-0", SET), origin=f"{KEPT.name}@s1"))
        with pytest.raises(ConfigError, match="is needed by its clones"):
            await destroy(beta, only_copy=True)
        assert beta.destroyed == []

    async def test_is_refused_in_a_folder_of_that_name_outside_the_storages(self) -> None:
        others = dataset("tank/other/zsr-diverged/a-7", 1)
        beta = Beta(others)
        with pytest.raises(ConfigError, match="not directly below"):
            await destroy(beta, others.name, only_copy=True)
        assert beta.destroyed == []


async def test_a_node_that_cannot_be_listed_is_not_one_without_any() -> None:
    beta = Beta(KEPT)
    beta.fails = True
    with pytest.raises(ZfsError):
        await read_diverged(STORAGES, cast(ZfsClient, beta))
