"""The first copy of a new job fails again and again."""

from dataclasses import replace

from alerts.notice import NoticeKind, Severity
from replicator.daemon.health_check import HealthLevel
from replicator.errors import ErrorClass
from tests.support.state_fleets import failing_job, failures
from tests.support.states import BEGIN, Alert, Fleet, Line, Message, State, moment, source, target

ERROR = (ErrorClass.NO_SPACE, "beta has no space left.")


def _fleet(since: int) -> Fleet:
    found = failing_job(since, *ERROR)
    state = replace(found.state, created=moment(BEGIN), last_sync=None, last_set=None, runs_succeeded=0)
    new = replace(found, state=replace(state, sent_bytes_total=0), sent_bytes_total=0)
    return {"alpha": source(BEGIN + since, new), "beta": replace(target(BEGIN + since), replicas=())}


STATE = State(
    key="monitoring 41",
    title="the first copy of a new job fails again and again",
    produced="zsr create-local-job to a target whose quota is below what the guest has",
    fleet=_fleet,
    lasts=120,
    alerts=(
        Alert("ZsrNeverReplicated", Severity.WARNING, 95, {"zsr_job": "100-0"}),
        Alert("ZsrJobFailing", Severity.WARNING, 20, {"zsr_job": "100-0"}),
    ),
    message=Message(NoticeKind.RPO_BREACHED, Severity.CRITICAL, 34),
    check=Line(HealthLevel.CRITICAL, "there is no copy at all"),
    events=failures(*ERROR),
)
