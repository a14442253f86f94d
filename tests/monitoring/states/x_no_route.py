"""No notification target wants the broken promise of a job."""

from dataclasses import replace

from alerts.notice import Severity
from replicator.daemon.health_check import HealthLevel
from replicator.models import JobId
from tests.support.states import BEGIN, Alert, Fleet, Line, State, well


def _fleet(since: int) -> Fleet:
    found = well(BEGIN + since)
    alpha = found["alpha"]
    return {**found, "alpha": alpha and replace(alpha, unreported=(JobId(100, 0),))}


STATE = State(
    key="invented 11",
    title="messages go out, but nobody gets that a promise is broken",
    produced='match = { severity = "warning" } in each [[notify]]; a job of a guest that no match names',
    fleet=_fleet,
    alerts=(Alert("ZsrJobsWithoutNotification", Severity.INFO, 65, {"instance": "alpha"}),),
    check=Line(HealthLevel.OK, "a broken promise of 100-0 would reach no [[notify]] target"),
    why_silent="who would get it does not want it. Routes may leave jobs out, so it is no warning: the rules "
    "of Prometheus and zsr check do not depend on them.",
)
