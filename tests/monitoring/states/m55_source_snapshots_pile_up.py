"""Snapshots of a job pile up on its source."""

from dataclasses import replace

from alerts.notice import Severity
from replicator.models import JobId
from tests.support.states import BEGIN, Alert, Fleet, State, source, target


def _fleet(since: int) -> Fleet:
    piled = replace(source(BEGIN + since), source_snapshots={JobId(100, 0): 40})
    return {"alpha": piled, "beta": target(BEGIN + since)}


STATE = State(
    key="monitoring 55",
    title="snapshots of a job pile up on its source",
    produced="zfs hold of each of the job's snapshots",
    fleet=_fleet,
    lasts=120,
    alerts=(Alert("ZsrSourceSnapshotsPilingUp", Severity.WARNING, 63, {"zsr_job": "100-0"}),),
    why_silent="the runs succeed, and each writes into its log what it could not destroy.",
)
