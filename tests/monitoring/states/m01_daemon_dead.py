"""The daemon of a source is dead."""

from alerts.notice import Severity
from tests.support.states import BEGIN, Alert, Fleet, State, target


def _fleet(since: int) -> Fleet:
    return {"alpha": None, "beta": target(BEGIN + since, held=BEGIN * 60.0)}


STATE = State(
    key="monitoring 1",
    title="the daemon of a source is dead",
    produced="systemctl stop zsr",
    fleet=_fleet,
    lasts=15,
    alerts=(Alert("ZsrDaemonDown", Severity.CRITICAL, 6, {"instance": "alpha"}),),
    why_silent="zsr is not there to report anything; `zsr check` says CRITICAL since the daemon does not answer.",
)
