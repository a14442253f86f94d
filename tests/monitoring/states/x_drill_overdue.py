"""Drills of a guest cannot be done any more, and nobody looks."""

from dataclasses import replace

from alerts.notice import Severity
from replicator.api.drills import LONGEST_WITHOUT_SECONDS, GuestDrills
from replicator.daemon.health_check import HealthLevel
from replicator.models import DrillResult, JobId
from tests.support.states import BEGIN, Alert, Fleet, Line, State, moment, source, target, well


def _fleet(since: int) -> Fleet:
    minute = BEGIN + since
    return {"alpha": replace(source(minute), drills=(_drills(minute, lasts=True),)), "beta": target(minute)}


def _calm(minute: int) -> Fleet:
    return {**well(minute), "alpha": replace(source(minute), drills=(_drills(minute, lasts=False),))}


def _drills(minute: int, *, lasts: bool) -> GuestDrills:
    passed = moment(minute) if minute > BEGIN and not lasts else moment(BEGIN) - LONGEST_WITHOUT_SECONDS
    return GuestDrills(
        100, "web", "beta", JobId(100, 0), DrillResult.PASSED, "all read.", passed, 60.0, int(passed) - 300, passed,
        obstacle="The key of 'tank/vm-100-disk-0' on beta is not loaded." if lasts else None,
        awaited_since=passed,
    )  # fmt: skip


STATE = State(
    key="drill overdue",
    title="no drill of a guest has passed for 30 days",
    produced="zfs unload-key on the target of a raw replica whose guest has a schedule of drills",
    fleet=_fleet,
    calm=_calm,
    lasts=120,
    alerts=(Alert("ZsrDrillOverdue", Severity.WARNING, 6, {"guest": "100", "node": "beta"}),),
    check=Line(HealthLevel.WARNING, "guest 100 (web) on beta: no drill has passed for 30 d"),
    why_silent="the copies are made in time; each digest names the guest.",
)
