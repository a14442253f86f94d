"""The replica is gone, and the runs that send it again fail."""

from dataclasses import replace

from alerts.notice import NoticeKind, Severity
from replicator.daemon.health_check import HealthLevel
from replicator.errors import ErrorClass
from replicator.events import ReplicaLost
from replicator.models import JobId
from tests.support.state_fleets import LAST, failing_job, failures
from tests.support.states import BEGIN, Alert, Fleet, Line, Message, State, moment, source, target

ERROR = (ErrorClass.NO_SPACE, "beta has no space left.")


def _fleet(since: int) -> Fleet:
    found = failing_job(since, *ERROR)
    gone = replace(found, state=replace(found.state, last_sync=None))
    return {"alpha": source(BEGIN + since, gone), "beta": replace(target(BEGIN + since), replicas=())}


STATE = State(
    key="monitoring 40",
    title="the replica is gone, and the runs that send it again fail",
    produced="zfs destroy -r of the replica on a target whose quota is below what the guest has",
    fleet=_fleet,
    lasts=60,
    alerts=(
        Alert("ZsrReplicaLost", Severity.CRITICAL, 20, {"zsr_job": "100-0"}),
        Alert("ZsrJobFailing", Severity.WARNING, 20, {"zsr_job": "100-0"}),
    ),
    message=Message(NoticeKind.REPLICA_LOST, Severity.CRITICAL, 1),
    check=Line(HealthLevel.CRITICAL, "the replica is lost"),
    events={
        **failures(*ERROR),
        0: (("alpha", ReplicaLost(moment(BEGIN), JobId(100, 0), 701, LAST)), *failures(*ERROR)[0]),
    },
)
