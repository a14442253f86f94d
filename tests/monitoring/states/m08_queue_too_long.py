"""The node has more jobs than time: its runs come later and later."""

from alerts.notice import NoticeKind, Severity
from replicator.daemon.health_check import HealthLevel
from tests.support.state_fleets import slow_job
from tests.support.states import BEGIN, Alert, Fleet, Line, Message, State, source, target


def _fleet(since: int) -> Fleet:
    late = slow_job(since, 45, 12.5)
    return {"alpha": source(BEGIN + since, late), "beta": target(BEGIN + since, held=late.state.last_sync)}


STATE = State(
    key="monitoring 8",
    title="the node has more jobs than time",
    produced="max_parallel = 1 and jobs that together take three times as long as their schedule",
    fleet=_fleet,
    lasts=340,
    alerts=(
        Alert("ZsrReplicationFallingBehind", Severity.WARNING, 305, {"zsr_job": "100-0"}),
        Alert("ZsrRpoBreached", Severity.CRITICAL, 305, {"zsr_job": "100-0"}),
    ),
    tolerated=("ZsrRpoAtRisk",),
    message=Message(NoticeKind.RPO_BREACHED, Severity.CRITICAL, 34),
    check=Line(HealthLevel.CRITICAL, "promised are at most 30 min"),
    ends=130,
)
