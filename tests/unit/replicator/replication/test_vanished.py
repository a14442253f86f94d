"""Which replicas count as vanished: those with which no volume would go on."""

from __future__ import annotations

from dataclasses import replace

from replicator.replication.discovery import Discovered
from replicator.replication.vanished import left_over
from tests.support.volumes import JOB, WAY, dataset, pair, snap

OLD = dataset(snap(1), name="pool/vm-100-disk-9", job=str(JOB), readonly=True)


def test_a_replica_of_which_the_source_has_nothing_is_vanished() -> None:
    found = Discovered((pair(dataset(snap(5)), None),), (OLD,), ())
    assert left_over(WAY, found) == (OLD,)


def test_the_replica_of_a_volume_that_was_renamed_is_not() -> None:
    found = Discovered((pair(dataset(snap(1), snap(2)), None),), (OLD,), ())
    assert left_over(WAY, found) == ()


def test_but_a_second_one_beside_it_is() -> None:
    other = replace(OLD, name="pool/vm-100-disk-8", snapshots=(snap(7),))
    found = Discovered((pair(dataset(snap(1), snap(2)), None),), (OLD, other), ())
    assert left_over(WAY, found) == (other,)
