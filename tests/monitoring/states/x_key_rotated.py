"""The SSH keys were rotated right after the run of a weekly job, which finds out at its next run."""

from dataclasses import replace

from alerts.notice import NoticeKind, Severity
from replicator.errors import ErrorClass
from tests.support.state_fleets import LAST, failing_job, failures
from tests.support.states import BEGIN, Alert, Fleet, Message, State, source, target

ERROR = (ErrorClass.AUTH, "Node beta refuses the login.")
WEEK = 7 * 86_400.0


def _fleet(since: int) -> Fleet:
    weekly = replace(failing_job(since, *ERROR), rpo=2 * WEEK)
    return {"alpha": source(BEGIN + since, weekly), "beta": target(BEGIN + since, held=LAST)}


STATE = State(
    key="invented 24",
    title="the keys were rotated, and the source of a weekly job is not in authorized_keys any more",
    produced="a new authorized_keys on the target the day after the job ran; this is the moment of its next run",
    fleet=_fleet,
    lasts=60,
    alerts=(Alert("ZsrJobFailing", Severity.WARNING, 20, {"zsr_job": "100-0"}),),
    tolerated=("ZsrRpoAtRisk",),
    message=Message(NoticeKind.FAILED, Severity.WARNING, 1),
    events=failures(*ERROR),
)
