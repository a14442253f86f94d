"""New replicas in the making: their names, the volumes that are chosen, what the source keeps, what refuses a swap."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from replicator.errors import ConfigError, EncryptionError, NoSpaceError, TargetActiveError
from replicator.models import Job, KnownSets, Synced, Volume
from replicator.replication.destruction import decide_unproven_on_source
from replicator.replication.plan import Full, VolumePair
from replicator.replication.reseed_preview import ReseedPreview, VolumeReseed, refuse_no_space
from replicator.replication.reseeding import choose_volumes, needed, redirected, refuse_swap, reseed_name
from replicator.replication.snapshot_sets import claim_of
from replicator.zfs.model import Dataset, Inventory
from tests.support.resume_tokens import make_token
from tests.support.volumes import JOB, WAY, dataset, pair, snap

NAME = "pool/vm-100-disk-0"
NEW = "pool/zsr-diverged/vm-100-disk-0-reseed"
OLD = dataset(snap(1), name=NAME, job=str(JOB), readonly=True)
SOURCE = dataset(snap(1), snap(2), snap(3))


def other(target: Dataset | None, reseed: Dataset | None = None) -> VolumePair:
    """A second volume of the guest."""
    name = "vm-100-disk-1"
    return VolumePair(Volume("data", name), "pool", SOURCE, f"pool/{name}", target, None, reseed)


def made(*snapshots: int, **more: Any) -> Dataset:
    """A new replica in the making with these snapshots."""
    return dataset(*map(snap, snapshots), name=NEW, job=str(JOB), **more)


def inventory(*datasets: Dataset) -> Inventory:
    """The target, with its storage."""
    return Inventory({each.name: each for each in (dataset(name="pool"), *datasets)})


class TestANewReplica:
    def test_lies_in_the_folder_of_asides_and_is_none_of_them(self) -> None:
        assert reseed_name("pool", Volume("data", "vm-100-disk-0")) == NEW
        assert reseed_name("pool", Volume("data", "a/b")) == "pool/zsr-diverged/a_b.07f4401c-reseed"
        aside = dataset(name="pool/zsr-diverged/vm-100-disk-0-7", job=str(JOB))
        found = inventory(OLD, made(2), aside)
        assert found.replicas_of(JOB) == [OLD]
        assert found.diverged_of(JOB) == [aside]
        assert [each.name for each in found.reseeds_of(JOB)] == [NEW]

    def test_receives_what_the_replica_would(self) -> None:
        folder = dataset(name="pool/zsr-diverged", encrypted=True)
        found = redirected(replace(pair(SOURCE, OLD), reseed=made(2)), folder)

        assert (found.target_name, found.target, found.place) == (NEW, made(2), folder)


class TestTheSourceKeeps:
    def test_nothing_without_a_new_replica(self) -> None:
        assert needed(pair(SOURCE, OLD)) == frozenset()

    def test_the_newest_snapshot_that_the_new_replica_has(self) -> None:
        assert needed(replace(pair(SOURCE, OLD), reseed=made(1, 2))) == {snap(2).name}

    def test_the_snapshots_of_a_half_received_state(self) -> None:
        token = make_token(f"tank/a@{snap(3).name}", 3, from_guid=1)
        assert needed(replace(pair(SOURCE, OLD), reseed=made(token=token))) == {snap(3).name, snap(1).name}

    def test_nothing_for_a_state_that_nobody_can_resume(self) -> None:
        assert needed(replace(pair(SOURCE, OLD), reseed=made(token="1-damaged"))) == frozenset()

    def test_a_set_that_was_never_whole_while_it_is_needed(self) -> None:
        way = replace(WAY, known=KnownSets(proven=1001, taken=(1002, 1003)))

        assert [s.guid for s in decide_unproven_on_source(way, SOURCE, "").snapshots] == [2, 3]
        assert [s.guid for s in decide_unproven_on_source(way, SOURCE, "", {snap(2).name}).snapshots] == [3]


class TestTheVolumes:
    def test_are_all_or_the_one_that_is_named(self) -> None:
        volumes = [pair(SOURCE, OLD), other(None)]

        assert choose_volumes(JOB, volumes, (), ()) == volumes
        assert choose_volumes(JOB, volumes, (), ("data:vm-100-disk-1",)) == volumes[1:]

    def test_that_the_guest_does_not_have_are_refused_with_those_that_it_has(self) -> None:
        with pytest.raises(ConfigError) as caught:
            choose_volumes(JOB, [pair(SOURCE, OLD)], (), ("data:x",))
        assert "data:vm-100-disk-0" in caught.value.advice

    def test_that_an_earlier_reseed_swapped_before_it_was_cut_off_are_left_out(self) -> None:
        waiting, swapped = replace(pair(SOURCE, OLD), reseed=made(2)), other(OLD)
        kept = dataset(name="pool/zsr-diverged/vm-100-disk-1-1002", job=str(JOB))

        assert choose_volumes(JOB, [waiting, swapped], [kept], ()) == [waiting]

    def test_that_were_kept_aside_before_are_sent_again(self) -> None:
        waiting, not_begun = replace(pair(SOURCE, OLD), reseed=made(2)), other(OLD)
        kept = dataset(name="pool/zsr-diverged/vm-100-disk-1-1001", job=str(JOB))

        assert choose_volumes(JOB, [waiting, not_begun], [kept], ()) == [waiting, not_begun]


class TestASwap:
    def test_of_an_untouched_replica_goes_ahead(self) -> None:
        refuse_swap(WAY, pair(SOURCE, OLD), inventory(OLD))
        refuse_swap(WAY, pair(SOURCE, None), inventory())

    @pytest.mark.parametrize(
        ("old", "error", "words"),
        [
            (replace(OLD, readonly=False), TargetActiveError, "writable"),
            (replace(OLD, mounted=True), TargetActiveError, "mounted"),
            (replace(OLD, job=None, source=None), TargetActiveError, "no zsr:job property"),
            (replace(OLD, job="200-0"), TargetActiveError, "is a replica of job 200-0"),
            (replace(OLD, source="gamma"), TargetActiveError, "from node gamma"),
        ],
    )
    def test_of_one_that_is_in_use_or_anothers_is_refused(
        self, old: Dataset, error: type[Exception], words: str
    ) -> None:
        with pytest.raises(error, match=words):
            refuse_swap(WAY, pair(SOURCE, old), inventory(old))

    def test_that_would_move_somebodys_datasets_along_is_refused(self) -> None:
        with pytest.raises(ConfigError, match="lies below"):
            refuse_swap(WAY, pair(SOURCE, OLD), inventory(OLD, dataset(name=f"{NAME}/mine")))

    def test_between_datasets_with_other_keys_is_refused_before_anything_is_sent(self) -> None:
        folder = dataset(name="pool/zsr-diverged", encrypted=True, encryption_root="pool/zsr-diverged")

        with pytest.raises(EncryptionError, match="does not have the key of 'pool'"):
            refuse_swap(WAY, pair(SOURCE, OLD), inventory(OLD, folder))


class TestAClaim:
    def test_stays_while_the_old_replica_is_aside_and_the_new_one_lacks_the_set(self) -> None:
        aside = dataset(snap(1), name="pool/zsr-diverged/vm-100-disk-0-9", job=str(JOB))
        now = pair(SOURCE, replace(OLD, snapshots=(snap(2),)))
        held = other(dataset(snap(1), name="pool/vm-100-disk-1", job=str(JOB)))
        before = Synced(1001.0, 1001, KnownSets(proven=1001))

        assert claim_of(WAY, before, [Full(now), Full(held)], [aside], 2000.0).last_set == 1001

    def test_does_not_rest_on_an_aside_of_another_disk_of_that_name(self) -> None:
        aside = dataset(snap(9), name="pool/zsr-diverged/vm-100-disk-0-9", job=str(JOB))
        before = Synced(1009.0, 1009, KnownSets(proven=1009))

        assert claim_of(WAY, before, [Full(pair(SOURCE, None))], [aside], 2000.0).last_set is None


class TestSpace:
    def preview(self, *spaces: int | None, path: str = "pool", free: int = 100) -> ReseedPreview:
        volumes = (VolumeReseed(Volume("data", "a"), path, NEW, NAME, space, space, begun=False) for space in spaces)
        return ReseedPreview(Job(JOB, "beta"), tuple(volumes), {path: free})

    def test_that_is_enough_is_no_error(self) -> None:
        refuse_no_space(self.preview(50, 50))
        refuse_no_space(self.preview(None))

    def test_that_is_too_little_is_named_with_what_is_needed(self) -> None:
        with pytest.raises(NoSpaceError) as caught:
            refuse_no_space(self.preview(50, 51))
        assert "'pool' on node beta has 100 B left, and the new replicas need 101 B" in caught.value.what

    def test_of_one_pool_is_counted_once_for_all_its_storages(self) -> None:
        here, there = self.preview(60, path="pool/a"), self.preview(60, path="pool/b")
        both = replace(here, volumes=here.volumes + there.volumes, available={"pool/a": 100, "pool/b": 100})
        with pytest.raises(NoSpaceError, match="'pool'"):
            refuse_no_space(both)
