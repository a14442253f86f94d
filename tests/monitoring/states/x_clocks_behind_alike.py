"""All nodes were suspended over a weekend, and their clocks are behind alike."""

from dataclasses import replace

from alerts.notice import Severity
from tests.support.states import BEGIN, Alert, Fleet, State, well

BEHIND = 3 * 86_400.0


def _fleet(since: int) -> Fleet:
    return {node: status and replace(status, time=status.time - BEHIND) for node, status in well(BEGIN + since).items()}


STATE = State(
    key="invented 4",
    title="the clocks of all nodes are behind by the same time",
    produced="virtual nodes that are suspended and resumed, without a time service",
    fleet=_fleet,
    lasts=40,
    alerts=(
        Alert("ZsrClockSkew", Severity.WARNING, 8, {"instance": "alpha"}),
        Alert("ZsrClockSkew", Severity.WARNING, 8, {"instance": "beta"}),
    ),
    why_silent="a node compares its clock with those of the others, and they agree.",
)
