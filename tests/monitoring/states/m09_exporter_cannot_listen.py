"""The exporter of a source cannot listen, so the daemon works and nobody gets its metrics."""

from alerts.notice import Severity
from tests.support.states import BEGIN, Alert, Fleet, State, target


def _fleet(since: int) -> Fleet:
    return {"alpha": None, "beta": target(BEGIN + since)}


STATE = State(
    key="monitoring 9",
    title="the exporter cannot listen, or its web_config is wrong",
    produced="another program takes port 9847 on alpha; or web-config.yml names a key file that is not there",
    fleet=_fleet,
    lasts=15,
    alerts=(Alert("ZsrDaemonDown", Severity.CRITICAL, 6, {"instance": "alpha"}),),
    why_silent="replication and zsr's own messages go on; the log names the port, and the runbook says so.",
)
