"""A target cannot be reached."""

from dataclasses import replace

from alerts.notice import NoticeKind, Severity
from replicator.daemon.health_check import HealthLevel
from replicator.errors import ErrorClass
from tests.support.state_fleets import LAST, failing_job, failures
from tests.support.states import BEGIN, Alert, Fleet, Line, Message, State, source, target

ERROR = (ErrorClass.NETWORK, "Node beta does not answer on port 22.")


def _fleet(since: int) -> Fleet:
    status = replace(source(BEGIN + since, failing_job(since, *ERROR)), reachable={"beta": False})
    return {"alpha": status, "beta": target(BEGIN + since, held=LAST)}


STATE = State(
    key="monitoring 46",
    title="a target cannot be reached from the source",
    produced="a firewall between alpha and beta that drops ssh",
    fleet=_fleet,
    lasts=60,
    alerts=(
        Alert("ZsrTargetUnreachable", Severity.WARNING, 20, {"instance": "alpha", "target": "beta"}),
        Alert("ZsrTargetRpoBreached", Severity.CRITICAL, 20, {"instance": "alpha", "target": "beta"}),
        Alert("ZsrJobFailing", Severity.WARNING, 20, {"instance": "alpha", "target": "beta"}),
        Alert("ZsrRpoBreached", Severity.CRITICAL, 20, {"instance": "alpha", "target": "beta"}),
    ),
    tolerated=("ZsrRpoAtRisk",),
    message=Message(NoticeKind.FAILED, Severity.WARNING, 16),
    check=Line(HealthLevel.CRITICAL, "promised are at most 30 min"),
    events=failures(*ERROR),
    ends=60,
)
