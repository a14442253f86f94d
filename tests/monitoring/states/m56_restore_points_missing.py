"""Restore points that a job has to keep are gone from its target."""

from dataclasses import replace

from alerts.notice import Severity
from replicator.daemon.health_check import HealthLevel
from tests.support.states import BEGIN, Alert, Fleet, Line, State, source, target


def _fleet(since: int) -> Fleet:
    beta = target(BEGIN + since)
    lacking = replace(beta.replicas[0], points=1, points_missing=6)
    return {"alpha": source(BEGIN + since), "beta": replace(beta, replicas=(lacking,))}


STATE = State(
    key="monitoring 56b",
    title="restore points that a job has to keep are gone from its target",
    produced="a tool that prunes snapshots runs on the target",
    fleet=_fleet,
    lasts=60,
    alerts=(Alert("ZsrRestorePointsMissing", Severity.WARNING, 33, {"guest": "100", "instance": "beta"}),),
    check=Line(HealthLevel.WARNING, "6 restore points are gone from storage local-zfs", node="beta"),
    why_silent="the newest copy is whole and the runs succeed; `zsr check` on the target says it.",
)
