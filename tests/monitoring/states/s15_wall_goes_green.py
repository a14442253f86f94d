"""A source with a broken promise dies, and takes its series with it: red must not turn green."""

from alerts.notice import NoticeKind, Severity
from replicator.errors import ErrorClass
from tests.support.state_fleets import LAST, failing, failures
from tests.support.states import BEGIN, Alert, Fleet, Message, State, target

ERROR = (ErrorClass.ZFS, "zfs receive failed on beta.")
DEAD = 40
"""The minute at which the source dies."""


def _fleet(since: int) -> Fleet:
    if since < DEAD:
        return failing(since, *ERROR)
    return {"alpha": None, "beta": target(BEGIN + since, held=LAST)}


STATE = State(
    key="states 15",
    title="a source with a broken promise dies",
    produced="the runs of a job fail until its promise is broken; then the source's power is cut",
    fleet=_fleet,
    lasts=90,
    alerts=(
        Alert("ZsrRpoBreached", Severity.CRITICAL, 60, {"instance": "alpha"}),
        Alert("ZsrJobFailing", Severity.WARNING, 60, {"instance": "alpha"}),
        Alert("ZsrDaemonDown", Severity.CRITICAL, DEAD + 7, {"instance": "alpha"}),
    ),
    tolerated=("ZsrRpoAtRisk",),
    message=Message(NoticeKind.FAILED, Severity.WARNING, 16),
    events=failures(*ERROR),
)
