"""What a plan shows to have happened to the source: it lacks sets that are proven on the target."""

from __future__ import annotations

from dataclasses import replace

import pytest

from replicator.models import KnownSets
from replicator.replication.plan import make_plan
from replicator.replication.source_changes import WentBack, volumes_gone_back
from replicator.zfs.model import Snapshot
from tests.support.volumes import JOB, WAY, dataset, pair, snap

KNOWN = KnownSets(proven=1003, taken=(1001, 1002, 1003, 1004), sent=frozenset({1, 2, 3, 4}))


def gone_back(source: list[Snapshot], target: list[Snapshot], known: KnownSets = KNOWN) -> tuple[WentBack, ...]:
    """The volumes that went back, of one with these snapshots on each side."""
    way = replace(WAY, known=known)
    both = pair(dataset(*source), dataset(*target, job=str(JOB), readonly=True))
    return volumes_gone_back(way, make_plan(way, [both]))


def test_a_source_that_lacks_proven_sets_went_back() -> None:
    assert gone_back([snap(1)], [snap(1), snap(2), snap(3)]) == (WentBack("tank/a", (1002, 1003)),)


def test_so_did_one_behind_a_replica_that_has_snapshots_of_others_too() -> None:
    mixed = [snap(1), snap(2), snap(9, "mine", written=4)]
    assert gone_back([snap(1)], mixed) == (WentBack("tank/a", (1002,)),)


@pytest.mark.parametrize(
    ("source", "target", "known"),
    [
        ([snap(3)], [snap(2), snap(3)], KNOWN),
        ([snap(3)], [snap(3), snap(4)], KNOWN),
        ([snap(3)], [snap(3), snap(9, "mine", written=4)], KNOWN),
        ([snap(1)], [snap(1), snap(2)], replace(KNOWN, sent=frozenset())),
        ([snap(1)], [snap(1), snap(2)], replace(KNOWN, proven=None)),
        ([snap(7)], [snap(1), snap(2)], KNOWN),
    ],
    ids=["as-usual", "unproven", "written-to", "not-sent-by-us", "nothing-proven", "nothing-in-common"],
)
def test_one_that_has_all_that_was_proven_did_not(
    source: list[Snapshot], target: list[Snapshot], known: KnownSets
) -> None:
    assert gone_back(source, target, known) == ()
