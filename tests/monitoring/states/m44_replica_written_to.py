"""A replica was written to, and the next run put it aside."""

from dataclasses import replace

from alerts.notice import Severity
from tests.support.states import BEGIN, Alert, Fleet, State, source, target


def _fleet(since: int) -> Fleet:
    return {"alpha": source(BEGIN + since), "beta": replace(target(BEGIN + since), diverged={100: 1})}


STATE = State(
    key="monitoring 44",
    title="a replica was written to, and the next run put it aside",
    produced="zfs set readonly=off on the replica, a write to it, zfs set readonly=on; a run",
    fleet=_fleet,
    lasts=60,
    alerts=(Alert("ZsrDivergedVolumes", Severity.WARNING, 17, {"guest": "100", "node": "beta"}),),
    why_silent="nothing is lost and the promise holds; the run's log names the dataset, `zsr diverged list` shows it.",
)
