"""The state.db of a daemon was damaged, moved aside and replaced."""

from dataclasses import replace

from alerts.notice import Severity
from replicator.daemon.health_check import HealthLevel
from tests.support.states import BEGIN, Alert, Fleet, Line, State, well


def _fleet(since: int) -> Fleet:
    found = well(BEGIN + since)
    alpha = found["alpha"]
    return {**found, "alpha": alpha and replace(alpha, damaged_states=("state.db.damaged-1800000000",))}


STATE = State(
    key="issue 14: state",
    title="state.db was damaged and replaced",
    produced="a bad block below state.db, and a restart",
    fleet=_fleet,
    alerts=(Alert("ZsrStateDamaged", Severity.WARNING, 10, {"instance": "alpha"}),),
    check=Line(HealthLevel.WARNING, "state.db.damaged-1800000000"),
    why_silent="the messages' own memory is in that file; the jobs are well, and the next look settles them.",
)
