"""A source's state.db comes from an old backup."""

from dataclasses import replace

from alerts.notice import NoticeKind, Severity
from replicator.daemon.health_check import HealthLevel
from tests.support.states import BEGIN, Alert, Fleet, Line, Message, State, job, moment, source, target
from tests.support.statuses import DAY


def _fleet(since: int) -> Fleet:
    minute = BEGIN + since
    then = moment(BEGIN) - DAY
    well = job(minute)
    state = replace(well.state, last_sync=then, last_set=then, last_try=then, last_start=then)
    known = replace(well, state=state, next_run=moment(BEGIN + 10))
    alpha = replace(source(minute, known), started=moment(BEGIN))
    return {"alpha": alpha, "beta": target(minute, held=moment(BEGIN))}


STATE = State(
    key="monitoring 69",
    title="state.db is one of a day ago, until the next run",
    produced="the machine is restored from last night's backup of /var/lib; the run takes ten minutes",
    fleet=_fleet,
    lasts=10,
    alerts=(Alert("ZsrRpoBreached", Severity.CRITICAL, 4, {"zsr_job": "100-0"}),),
    tolerated=("ZsrRpoAtRisk",),
    message=Message(NoticeKind.RPO_BREACHED, Severity.CRITICAL, 4),
    check=Line(HealthLevel.CRITICAL, "the last copy is 1 d "),
)
