"""Snapshots of another tool pile up on the source and on the replica: row 55 as far as zsr did not take them."""

from dataclasses import replace

from alerts.notice import Severity
from replicator.models import JobId
from tests.support.states import BEGIN, Alert, Fleet, State, source, target


def _fleet(since: int) -> Fleet:
    beta = target(BEGIN + since)
    piled = replace(source(BEGIN + since), foreign_snapshots={JobId(100, 0): 1400})
    return {"alpha": piled, "beta": replace(beta, replicas=(replace(beta.replicas[0], foreign=1400),))}


STATE = State(
    key="monitoring 55, foreign",
    title="snapshots of another tool pile up on the source and on the replica",
    produced="a tool that takes a snapshot each quarter of an hour, and whose pruning fails",
    fleet=_fleet,
    lasts=120,
    alerts=(
        Alert("ZsrForeignSnapshotsPilingUp", Severity.WARNING, 63, {"instance": "alpha"}),
        Alert("ZsrForeignSnapshotsPilingUp", Severity.WARNING, 63, {"instance": "beta"}),
    ),
    why_silent="the runs succeed; what another tool takes is not zsr's to judge before it is that much.",
)
