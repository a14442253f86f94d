"""The removal of a job fails again and again."""

from dataclasses import replace

from alerts.notice import NoticeKind, Severity
from replicator.daemon.health_check import HealthLevel
from replicator.errors import ErrorClass
from replicator.job_choices import Removal
from replicator.models import JobCondition
from tests.support.state_fleets import LAST, failing_job, failures
from tests.support.states import BEGIN, Alert, Fleet, Line, Message, State, moment, source, target

ERROR = (ErrorClass.TARGET_ACTIVE, "The replica of vm-100-disk-0 on beta is in use.")


def _fleet(since: int) -> Fleet:
    minute, failing = BEGIN + since, failing_job(since, *ERROR)
    leaving = replace(
        failing,
        job=replace(failing.job, removal=Removal.FULL),
        state=replace(failing.state, removal_since=moment(BEGIN)),
        condition=JobCondition.REMOVING,
    )
    return {"alpha": source(minute, leaving), "beta": target(minute, held=LAST)}


STATE = State(
    key="monitoring 58",
    title="the removal of a job fails again and again",
    produced="zsr delete 100-0 while its replica on beta is open",
    fleet=_fleet,
    lasts=60,
    alerts=(Alert("ZsrJobFailing", Severity.WARNING, 20, {"zsr_job": "100-0"}),),
    message=Message(NoticeKind.REMOVAL_STUCK, Severity.WARNING, 16),
    check=Line(HealthLevel.WARNING, "the last 3 runs failed"),
    events=failures(*ERROR),
)
