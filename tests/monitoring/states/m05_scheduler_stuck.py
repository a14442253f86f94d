"""The scheduler starts no run any more, while the daemon answers."""

from dataclasses import replace

from alerts.notice import NoticeKind, Severity
from replicator.daemon.health_check import HealthLevel
from tests.support.states import BEGIN, Alert, Fleet, Line, Message, State, job, moment, source, target


def _fleet(since: int) -> Fleet:
    minute, stuck = BEGIN + since, job(BEGIN)
    status = source(minute, replace(stuck, next_run=moment(BEGIN) + 900))
    overdue = max(0.0, moment(minute) - moment(BEGIN) - 900)
    status = replace(status, queue_length=int(overdue > 0), scheduler_lag=overdue)
    return {"alpha": status, "beta": target(minute, held=stuck.state.last_sync)}


STATE = State(
    key="monitoring 5",
    title="the scheduler starts no run any more, while the daemon answers",
    produced="the cluster file on a file system that hangs",
    fleet=_fleet,
    lasts=120,
    alerts=(
        Alert("ZsrRpoBreached", Severity.CRITICAL, 42, {"instance": "alpha"}),
        Alert("ZsrSchedulerStuck", Severity.CRITICAL, 42, {"instance": "alpha"}),
    ),
    tolerated=("ZsrRpoAtRisk",),
    message=Message(NoticeKind.RPO_BREACHED, Severity.CRITICAL, 34),
    check=Line(HealthLevel.CRITICAL, "promised are at most 30 min"),
)
