"""The state.db of a daemon cannot be written: its disk is full."""

from dataclasses import replace

from alerts.notice import NoticeKind, Severity
from replicator.daemon.health_check import HealthLevel
from tests.support.states import BEGIN, Alert, Fleet, Line, Message, State, well


def _fleet(since: int) -> Fleet:
    found = well(BEGIN + since)
    alpha = found["alpha"]
    return {**found, "alpha": alpha and replace(alpha, state_unwritable_since=float(BEGIN))}


STATE = State(
    key="issue 15: state",
    title="state.db cannot be written",
    produced="the disk of state_dir is full",
    fleet=_fleet,
    alerts=(Alert("ZsrStateUnwritable", Severity.WARNING, 10, {"instance": "alpha"}),),
    message=Message(NoticeKind.STATE_UNWRITABLE, Severity.WARNING, 3),
    check=Line(HealthLevel.WARNING, "state.db cannot be written"),
)
