"""The exporter of a source is off, and the node is no target of Prometheus any more."""

from alerts.notice import Severity
from tests.support.states import BEGIN, Alert, Fleet, State, target


def _fleet(since: int) -> Fleet:
    return {"beta": target(BEGIN + since)}


STATE = State(
    key="monitoring 10",
    title="the exporter of a source is off, and nobody scrapes that node",
    produced="[exporter] enabled = false on alpha, and alpha is taken out of Prometheus' targets",
    fleet=_fleet,
    lasts=60,
    alerts=(Alert("ZsrNodeNotScraped", Severity.CRITICAL, 36, {"node": "alpha"}),),
    why_silent="the daemon works, and does not know that nobody asks it; its own messages and `zsr check` go on.",
)
