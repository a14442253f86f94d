"""A target's node is down, and its ZsrDaemonDown is silenced for the repair."""

from dataclasses import replace

from alerts.notice import Severity
from tests.monitoring.states import m46_target_unreachable
from tests.support.states import Alert, Fleet


def _fleet(since: int) -> Fleet:
    return {**m46_target_unreachable.STATE.fleet(since), "beta": None}


STATE = replace(
    m46_target_unreachable.STATE,
    key="monitoring 47",
    title="a target's node is down, and the alert about its daemon is silenced",
    produced="beta is off; amtool silence add alertname=ZsrDaemonDown instance=beta",
    fleet=_fleet,
    alerts=(*m46_target_unreachable.STATE.alerts, Alert("ZsrDaemonDown", Severity.CRITICAL, 6, {"instance": "beta"})),
)
"""Which of these are sent with the silence: tests/monitoring/test_alertmanager.py."""
