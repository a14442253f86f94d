"""What a target holds of a guest is copied in time, and cannot be used."""

from dataclasses import replace

from alerts.notice import NoticeKind, Severity
from replicator.api.drills import GuestDrills
from replicator.daemon.health_check import HealthLevel
from replicator.events import GuestDrilled
from replicator.models import DrillResult, JobId
from tests.support.states import BEGIN, Alert, Fleet, Line, Message, State, moment, source, target, well
from tests.support.statuses import DAY

FOUND = "local-zfs:vm-100-disk-0: partition 2 (ext4): e2fsck found faults: Inode 2 is a mess."


def _drills(minute: int, result: DrillResult) -> tuple[GuestDrills, ...]:
    before = moment(BEGIN) - 7 * DAY
    has_failed = result is DrillResult.FAILED
    ended = moment(BEGIN) if has_failed or minute >= BEGIN else before
    passed = before if has_failed else ended
    return (
        GuestDrills(
            100, "web", "beta", JobId(100, 0), result, FOUND if has_failed else "all read.", ended, 60.0,
            int(ended) - 300, passed, awaited_since=passed, next=moment(BEGIN) + 7 * DAY,
        ),
    )  # fmt: skip


def _fleet(since: int) -> Fleet:
    minute = BEGIN + since
    return {"alpha": replace(source(minute), drills=_drills(minute, DrillResult.FAILED)), "beta": target(minute)}


def _calm(minute: int) -> Fleet:
    return {**well(minute), "alpha": replace(source(minute), drills=_drills(minute, DrillResult.PASSED))}


def _event(minute: int, result: DrillResult, text: str, *, recovered: bool = False) -> tuple[str, GuestDrilled]:
    at = moment(BEGIN + minute)
    return "alpha", GuestDrilled(at, JobId(100, 0), "beta", result, text, int(at) - 300, 60.0, recovered=recovered)


STATE = State(
    key="drill failed",
    title="the replicas of a guest are copied in time, and its filesystem has faults there",
    produced="`debugfs -w -R 'clri <2>'` in the guest's disk, a run, and a drill",
    fleet=_fleet,
    calm=_calm,
    lasts=120,
    events={
        0: (_event(0, DrillResult.FAILED, FOUND),),
        120: (_event(120, DrillResult.PASSED, "all read.", recovered=True),),
    },
    alerts=(Alert("ZsrDrillFailed", Severity.WARNING, 5, {"guest": "100", "node": "beta"}),),
    message=Message(NoticeKind.DRILL_FAILED, Severity.WARNING, 2),
    check=Line(HealthLevel.WARNING, "guest 100 (web) on beta: the last drill failed"),
)
