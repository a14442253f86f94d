"""Jobs are gone from the cluster file."""

from alerts.notice import NoticeKind, Severity
from replicator.daemon.health_check import HealthLevel
from replicator.events import JobVanished
from replicator.models import JobId
from tests.support.states import BEGIN, Alert, Line, Message, State, moment, without_job

STATE = State(
    key="monitoring 19",
    title="jobs are gone from the cluster file",
    produced="a job's table deleted by hand, or an old copy of the file put in place",
    fleet=without_job,
    lasts=60,
    alerts=(Alert("ZsrJobsVanished", Severity.CRITICAL, 3, {"instance": "alpha"}),),
    message=Message(NoticeKind.JOB_VANISHED, Severity.CRITICAL, 1),
    check=Line(HealthLevel.CRITICAL, "job 100-0 is gone from the cluster file"),
    events={0: (("alpha", JobVanished(moment(BEGIN), JobId(100, 0), "beta", moment(BEGIN) - 900)),)},
)
