"""All replicas of a guest are destroyed between two runs."""

from dataclasses import replace

from alerts.notice import Severity
from tests.support.states import BEGIN, Alert, Fleet, State, job, moment, source, target


def _fleet(since: int) -> Fleet:
    minute, before = BEGIN + since, job(BEGIN)
    hourly = replace(before, job=replace(before.job, schedule="hourly"), next_run=moment(BEGIN + 60), rpo=7200.0)
    return {"alpha": source(minute, hourly), "beta": replace(target(minute), replicas=())}


STATE = State(
    key="monitoring 37",
    title="all replicas of a guest are destroyed between two runs",
    produced="zfs destroy -r of the replica on the target of a job that runs every hour",
    fleet=_fleet,
    lasts=50,
    alerts=(Alert("ZsrReplicaStale", Severity.CRITICAL, 17, {"zsr_job": "100-0", "target": "beta"}),),
    why_silent="the source learns of it at its next run; until then only the target's own look knows it.",
)
