"""Drills of a guest, as the status shows them."""

from __future__ import annotations

from dataclasses import replace

from replicator.api.drills import GuestDrills
from replicator.models import DrillResult, JobId
from tests.support.statuses import NOW

DAY = 86400.0


def passed_drill(guest: int = 100, node: str = "beta", *, ago: float = DAY) -> GuestDrills:
    """A drill that passed some seconds before `NOW`, of a guest with a weekly schedule."""
    return GuestDrills(
        guest=guest,
        guest_name="web",
        node=node,
        job=JobId(guest, 0),
        result=DrillResult.PASSED,
        message="all read.",
        time=NOW - ago,
        duration=120.0,
        set_time=int(NOW - ago) - 900,
        last_pass=NOW - ago,
        counts={DrillResult.PASSED: 3},
        awaited_since=NOW - ago,
        next=NOW + 6 * DAY,
    )


def failed_drill(guest: int = 100, node: str = "beta", *, ago: float = 3600.0) -> GuestDrills:
    """A drill that failed, after one that had passed a week before."""
    passed = passed_drill(guest, node, ago=ago)
    return replace(
        passed,
        result=DrillResult.FAILED,
        message="local-zfs:vm-100-disk-0: ext4: e2fsck found faults: Inode 2 is a mess.",
        last_pass=NOW - ago - 7 * DAY,
        awaited_since=NOW - ago - 7 * DAY,
        counts={DrillResult.PASSED: 3, DrillResult.FAILED: 1},
    )


def overdue_drill(guest: int = 100, node: str = "beta") -> GuestDrills:
    """A drill that passed 40 days ago; the target's key is not loaded since."""
    return replace(passed_drill(guest, node, ago=40 * DAY), obstacle="The key of 'tank/a' on beta is not loaded.")
