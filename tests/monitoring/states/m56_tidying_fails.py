"""Runs succeed, and cannot destroy old snapshots."""

from alerts.notice import Severity
from replicator.daemon.health_check import HealthLevel
from tests.support.states import BEGIN, Alert, Fleet, Line, State, job, moment, source, target
from tests.support.statuses import untidy


def _fleet(since: int) -> Fleet:
    minute = BEGIN + since
    return {"alpha": source(minute, untidy(job(minute), moment(BEGIN))), "beta": target(minute)}


STATE = State(
    key="monitoring 56",
    title="old snapshots on the target cannot be destroyed",
    produced="zfs hold on a restore point, or a clone of one",
    fleet=_fleet,
    lasts=180,
    alerts=(Alert("ZsrTidyingFailing", Severity.WARNING, 125, {"zsr_job": "100-0"}),),
    check=Line(HealthLevel.WARNING, "job 100-0 cannot destroy what is to go"),
    why_silent="each copy is whole and in time; nobody has to act before working hours.",
)
