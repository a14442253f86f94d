"""Service discovery lists no node any more."""

from alerts.notice import Severity
from tests.support.states import Alert, State

STATE = State(
    key="monitoring 13",
    title="Prometheus scrapes no node any more",
    produced="the scrape job is removed, or has another name",
    fleet=lambda _: {},
    lasts=30,
    alerts=(Alert("ZsrDaemonAbsent", Severity.CRITICAL, 21),),
    why_silent="nothing is wrong with zsr itself, and it does not know who scrapes it.",
)
