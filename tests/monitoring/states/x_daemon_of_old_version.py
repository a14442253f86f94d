"""A new version was installed, and the daemon of one node was never restarted."""

from dataclasses import replace

from alerts.notice import Severity
from replicator.daemon.health_check import HealthLevel
from tests.support.states import BEGIN, Alert, Fleet, Line, State, well


def _fleet(since: int) -> Fleet:
    fleet = well(BEGIN + since)
    alpha = fleet["alpha"]
    return {**fleet, "alpha": alpha and replace(alpha, version="0.0.9")}


STATE = State(
    key="invented 25",
    title="a daemon still runs the version of before the upgrade, with the faults that it corrects",
    produced="pip install of a new zsr without systemctl restart zsr; an upgrade that misses a node",
    fleet=_fleet,
    lasts=1500,
    alerts=(Alert("ZsrVersionsDiffer", Severity.INFO, 1446),),
    check=Line(HealthLevel.WARNING, "the daemon still runs zsr 0.0.9"),
    why_silent="a daemon does not know of versions installed since it started.",
    step=3,
)
