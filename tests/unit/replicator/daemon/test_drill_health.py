"""What ``zsr check`` says of drills."""

from __future__ import annotations

from dataclasses import replace

from replicator.api.drills import GuestDrills
from replicator.daemon.drill_health import drill_findings
from replicator.daemon.health_check import HealthLevel
from replicator.daemon.status_json import status_json
from tests.support.drills import DAY, failed_drill, overdue_drill, passed_drill
from tests.support.statuses import NOW, status


def findings(*drills: GuestDrills, guest: int | None = None) -> list[str]:
    found = list(drill_findings(status_json(replace(status(), drills=drills))["drills"], NOW, guest))
    assert all(each.level is HealthLevel.WARNING for each in found)
    return [each.text for each in found]


def test_one_that_passed_is_no_finding() -> None:
    assert findings(passed_drill(), passed_drill(ago=29 * DAY)) == []


def test_one_that_failed_is_a_warning_with_what_was_found() -> None:
    [text] = findings(failed_drill())
    assert text == (
        "guest 100 (web) on beta: the last drill failed 1 h ago: "
        "local-zfs:vm-100-disk-0: ext4: e2fsck found faults: Inode 2 is a mess"
    )


def test_one_that_is_overdue_is_a_warning_with_the_obstacle() -> None:
    [text] = findings(overdue_drill())
    assert text == (
        "guest 100 (web) on beta: no drill has passed for 40 d: The key of 'tank/a' on beta is not loaded; "
        "zsr guest drill 100"
    )
    never = replace(overdue_drill(), last_pass=None, obstacle=None)
    assert "no drill has passed yet, awaited for 40 d; zsr guest drill 100" in findings(never)[0]


def test_clones_that_stay_for_a_day_are_a_warning() -> None:
    assert findings(replace(passed_drill(), clones_since=NOW - 3600)) == []
    [text] = findings(replace(passed_drill(), clones_since=NOW - 2 * DAY))
    assert text == "guest 100 (web) on beta: clones of a drill may be left, since 2 d; see who has them open there"


def test_only_those_of_one_guest_are_listed_if_that_is_wanted() -> None:
    assert findings(failed_drill(100), failed_drill(101), guest=101)[0].startswith("guest 101")
