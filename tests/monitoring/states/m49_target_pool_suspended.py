"""The target's pool is suspended, while the node answers."""

from dataclasses import replace

from alerts.notice import NoticeKind, Severity
from replicator.daemon.health_check import HealthLevel
from replicator.errors import ErrorClass
from tests.support.state_fleets import failing, failures
from tests.support.states import BEGIN, Alert, Fleet, Line, Message, State, moment

ERROR = (ErrorClass.TIMEOUT, "zfs on beta did not answer within 60 s.")


def _fleet(since: int) -> Fleet:
    found = failing(since, *ERROR)
    beta = found["beta"]
    assert beta is not None
    blind = replace(beta, ready=False, not_ready=(ERROR[1],), zfs_readable=False, looked_at={"beta": moment(BEGIN)})
    return {**found, "beta": blind}


STATE = State(
    key="monitoring 49",
    title="the target's pool is suspended, while the node answers",
    produced="its disks are pulled; sshd goes on",
    fleet=_fleet,
    lasts=60,
    alerts=(
        Alert("ZsrJobFailing", Severity.WARNING, 20, {"instance": "alpha"}),
        Alert("ZsrZfsUnreadable", Severity.WARNING, 20, {"instance": "beta"}),
        Alert("ZsrRpoBreached", Severity.CRITICAL, 20, {"instance": "alpha"}),
    ),
    tolerated=(
        "ZsrRpoAtRisk",
        "ZsrTransferStalled",
    ),
    message=Message(NoticeKind.FAILED, Severity.WARNING, 16),
    check=Line(HealthLevel.CRITICAL, "promised are at most 30 min"),
    events=failures(*ERROR),
)
