"""Prometheus itself is away for minutes while a daemon is dead."""

from alerts.notice import Severity
from tests.support.states import BEGIN, Alert, Fleet, State, target

AWAY = range(8, 15)
"""Minutes after the begin in which Prometheus scrapes nothing; longer than its look-back."""


def _fleet(since: int) -> Fleet:
    return {} if since in AWAY else {"alpha": None, "beta": target(BEGIN + since, held=BEGIN * 60.0)}


STATE = State(
    key="monitoring 16",
    title="Prometheus is away for 7 minutes while the daemon of a source is dead",
    produced="systemctl stop zsr on alpha; then systemctl stop prometheus for 7 minutes",
    fleet=_fleet,
    lasts=60,
    alerts=(Alert("ZsrDaemonDown", Severity.CRITICAL, 21, {"instance": "alpha"}),),
    why_silent=(
        "the daemon is not there to report anything. What Prometheus knew of its jobs is lost, so ZsrRpoBreached does "
        "not follow; ZsrDaemonDown stays, and the service that expects ZsrWatchdog sees Prometheus' absence."
    ),
)
