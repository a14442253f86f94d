"""A guest was frozen for a snapshot, and its thaw hook fails."""

from dataclasses import replace

from alerts.notice import NoticeKind, Severity
from replicator.daemon.health_check import HealthLevel
from replicator.events import GuestFrozen
from replicator.models import GuestId, Hook, JobId
from tests.support.states import BEGIN, Alert, Fleet, Line, Message, State, moment, source, target


def _fleet(since: int) -> Fleet:
    status = source(BEGIN + since)
    failed: dict[GuestId, dict[Hook, int]] = {100: {Hook.FREEZE: 0, Hook.THAW: 1 + since}}
    return {
        "alpha": replace(status, frozen_since={100: moment(BEGIN)}, hook_failures=failed),
        "beta": target(BEGIN + since),
    }


STATE = State(
    key="monitoring 75",
    title="a guest was frozen for a snapshot and is not thawed",
    produced='thaw = "false"',
    fleet=_fleet,
    lasts=30,
    alerts=(Alert("ZsrGuestFrozen", Severity.CRITICAL, 6, {"guest": "100", "instance": "alpha"}),),
    check=Line(HealthLevel.CRITICAL, "guest 100 may have been frozen for"),
    message=Message(NoticeKind.GUEST_FROZEN, Severity.CRITICAL, 1),
    events={0: (("alpha", GuestFrozen(moment(BEGIN), JobId(100, 0), 701, moment(BEGIN), "exit status 1", "false")),)},
)
