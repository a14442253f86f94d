"""The source's clock is two minutes ahead."""

from dataclasses import replace

from alerts.notice import Severity
from tests.support.states import BEGIN, Alert, Fleet, State, source, target

AHEAD = 120.0


def _fleet(since: int) -> Fleet:
    alpha = source(BEGIN + since)
    return {
        "alpha": replace(alpha, time=alpha.time + AHEAD, clock_skew={"beta": -AHEAD}),
        "beta": target(BEGIN + since),
    }


STATE = State(
    key="monitoring 64",
    title="the source's clock is ahead",
    produced="date -s '+2 minutes' on alpha, without a time service",
    fleet=_fleet,
    lasts=40,
    alerts=(
        Alert("ZsrClockSkew", Severity.WARNING, 7, {"instance": "alpha", "node": "beta"}),
        Alert("ZsrClockSkew", Severity.WARNING, 7, {"instance": "alpha"}),
    ),
    why_silent="no data are in danger; `zsr status` names clocks that differ.",
)
