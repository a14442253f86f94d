"""The node's own settings were changed, are valid, and are not in use."""

from dataclasses import replace

from alerts.notice import Severity
from replicator.daemon.health_check import HealthLevel
from tests.support.states import BEGIN, Alert, Fleet, Line, State, well


def _fleet(since: int) -> Fleet:
    found = well(BEGIN + since)
    alpha = found["alpha"]
    return {
        **found,
        "alpha": alpha and replace(alpha, config=replace(alpha.config, pending=("max_parallel", "notify"))),
    }


STATE = State(
    key="monitoring 22",
    title="the settings were changed, are valid, and are not in use",
    produced="a [[notify]] is added to zsr.toml, and the daemon is not restarted",
    fleet=_fleet,
    alerts=(Alert("ZsrRestartPending", Severity.WARNING, 65, {"instance": "alpha"}),),
    check=Line(HealthLevel.WARNING, "max_parallel, notify changed and not in use yet"),
    why_silent="it would reach the targets of before, minutes after a person edited the file.",
)
