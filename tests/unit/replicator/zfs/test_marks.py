"""Which marks count: only those that were set on the very dataset; received and inherited ones permit nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from replicator.zfs.commands import local_marks
from replicator.zfs.marks import doubtful, known_marks, settled
from replicator.zfs.model import Dataset, Inventory
from tests.support.played_host import PlayedHost
from tests.support.volumes import JOB, dataset, snap

REPLICA = dataset(snap(1), name="pool/a", job=str(JOB))
PLAIN = dataset(name="pool/b")
OWN = {"pool/a": (str(JOB), "alpha")}


def listed(*some: Dataset) -> Inventory:
    return Inventory({each.name: each for each in some})


class TestWhatIsAskedFor:
    def test_is_each_marked_dataset(self) -> None:
        assert doubtful(listed(REPLICA, PLAIN), set()) == ["pool/a"]

    def test_is_not_what_is_known_to_have_its_own_marks_whatever_its_name_is_now(self) -> None:
        known = known_marks(listed(REPLICA))
        assert doubtful(listed(replace(REPLICA, name="pool/renamed")), known) == []

    def test_is_another_dataset_with_the_same_marks(self) -> None:
        """A copy that received them all, as every copy of a replica does."""
        known = known_marks(listed(REPLICA))
        assert doubtful(listed(REPLICA, replace(REPLICA, name="pool/copy", guid=2)), known) == ["pool/copy"]

    def test_is_a_known_dataset_whose_marks_changed(self) -> None:
        known = known_marks(listed(REPLICA))
        assert doubtful(listed(replace(REPLICA, source="omega")), known) == ["pool/a"]

    def test_is_a_snapshot_that_says_who_took_it(self) -> None:
        taken = replace(PLAIN, snapshots=(replace(snap(1), source="alpha"), snap(2)))
        assert doubtful(listed(taken), set()) == [f"pool/b@{snap(1).name}"]

    def test_is_split_before_a_command_gets_too_long_for_a_remote_shell(self) -> None:
        names = [f"pool/{number:0200d}" for number in range(1000)]
        parts = local_marks(names)
        assert [name for argv in parts for name in argv[8:]] == names
        assert all(len(" ".join(argv)) < 100_000 for argv in parts)

    def test_is_nothing_where_nothing_is_in_doubt(self) -> None:
        assert local_marks([]) == []


class TestAMark:
    def test_of_its_own_counts(self) -> None:
        found = settled(listed(REPLICA), ["pool/a"], OWN).datasets["pool/a"]
        assert (found.job, found.source, found.borrowed_marks) == (str(JOB), "alpha", False)

    @pytest.mark.parametrize("own", [{}, {"pool/a": (str(JOB), None)}, {"pool/a": (None, "alpha")}])
    def test_that_is_borrowed_does_not_count_and_is_seen(self, own: dict[str, tuple[str | None, str | None]]) -> None:
        found = settled(listed(REPLICA, PLAIN), ["pool/a"], own)
        assert (found.datasets["pool/a"].job, found.datasets["pool/a"].source) == own.get("pool/a", (None, None))
        assert found.datasets["pool/a"].borrowed_marks
        assert found.datasets["pool/a"].may_be_replica
        assert not found.datasets["pool/b"].may_be_replica
        assert (REPLICA.guid, REPLICA.job, REPLICA.source) not in known_marks(found)

    def test_of_a_snapshot_counts_where_it_was_set(self) -> None:
        taken = replace(PLAIN, snapshots=(replace(snap(1), source="alpha"), replace(snap(2), source="alpha")))
        names = [f"pool/b@{each.name}" for each in taken.snapshots]
        found = settled(listed(taken), names, {names[0]: (None, "alpha")}).datasets["pool/b"]
        assert [each.source for each in found.snapshots] == ["alpha", None]


class TestAnInventory:
    async def test_has_no_replica_whose_mark_was_received(self) -> None:
        host = PlayedHost(REPLICA, zsr_job=(str(JOB), "received"))
        found = (await host.client.inventory("pool")).datasets["pool/a"]
        assert (found.job, found.source, found.borrowed_marks) == (None, "alpha", True)

    async def test_asks_once_for_what_has_its_own_marks(self) -> None:
        host = PlayedHost(REPLICA)
        client = host.client
        for _ in range(3):
            assert (await client.inventory("pool")).replicas_of(JOB)
        assert host.asked_for_marks == 1

    async def test_asks_again_for_what_has_borrowed_marks_since_they_may_be_set_any_time(self) -> None:
        host = PlayedHost(REPLICA, zsr_job=(str(JOB), "inherited from pool"))
        client = host.client
        for _ in range(3):
            assert not (await client.inventory("pool")).replicas_of(JOB)
        assert host.asked_for_marks == 3


def test_a_replica_below_a_replica_is_one_of_its_own() -> None:
    child = replace(REPLICA, name="pool/a/child", guid=2)
    assert listed(REPLICA, child).replicas_of(JOB) == [child, REPLICA]
