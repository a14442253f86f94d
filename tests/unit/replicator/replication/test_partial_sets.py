"""Sets of which only a part arrived, in the decision about restore points."""

from __future__ import annotations

from dataclasses import replace

from replicator.models import KnownSets
from replicator.replication.destruction import decide_superseded
from replicator.schedule.retention import RetentionPolicy
from tests.support.volumes import JOB, WAY, dataset, snap


def test_a_set_that_was_never_whole_takes_no_place_among_the_restore_points_and_goes() -> None:
    """The run that took it died after the transfer of this volume, and it was the base of the next one."""
    source, target = (
        dataset(snap(3), snap(9)),
        dataset(snap(2), snap(3), snap(9), name="pool/a", job=str(JOB), readonly=True),
    )
    known = KnownSets(proven=1009, taken=(1002, 1003, 1009), sent=frozenset({2, 3, 9}))
    keep = RetentionPolicy.parse("2")
    way = replace(WAY, known=known)
    (permit,) = decide_superseded(way, keep, [(source, target)], snap(9).name, 10_000.0, {1003, 1009})
    assert [each.guid for each in permit.snapshots] == [3]
