"""The source's clock is two minutes behind."""

from dataclasses import replace

from alerts.notice import Severity
from tests.support.states import BEGIN, Alert, Fleet, State, source, target

BEHIND = 120.0


def _fleet(since: int) -> Fleet:
    alpha = source(BEGIN + since)
    return {
        "alpha": replace(alpha, time=alpha.time - BEHIND, clock_skew={"beta": BEHIND}),
        "beta": target(BEGIN + since),
    }


STATE = State(
    key="monitoring 65",
    title="the source's clock is behind",
    produced="date -s '-2 minutes' on alpha, without a time service",
    fleet=_fleet,
    lasts=40,
    alerts=(
        Alert("ZsrClockSkew", Severity.WARNING, 7, {"instance": "alpha", "node": "beta"}),
        Alert("ZsrClockSkew", Severity.WARNING, 7, {"instance": "alpha"}),
    ),
    why_silent="no data are in danger; `zsr status` names clocks that differ.",
)
