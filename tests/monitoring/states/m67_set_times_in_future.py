"""The sets' times are in the future since a clock was ahead, and the target loses the newest of them."""

from dataclasses import replace

from alerts.notice import Severity
from tests.support.states import BEGIN, Alert, Fleet, State, job, moment, source, target

FUTURE = moment(BEGIN) + 4 * 365 * 86_400.0
LOST = 20
"""The minute at which the replica goes back."""


def _fleet(since: int) -> Fleet:
    minute, before = BEGIN + since, job(BEGIN)
    state = replace(before.state, last_set=FUTURE)
    hourly = replace(before, state=state, next_run=moment(BEGIN + 60), rpo=7200.0)
    there = target(minute, held=FUTURE)
    return {"alpha": source(minute, hourly), "beta": there if since < LOST else target(minute, held=FUTURE - 900)}


STATE = State(
    key="monitoring 67",
    title="the sets have times in the future, and the target loses the newest of them",
    produced="date -s '+4 years' before a run, then chronyc makestep; later zfs rollback -r of the replica",
    fleet=_fleet,
    lasts=50,
    alerts=(Alert("ZsrReplicaStale", Severity.CRITICAL, LOST + 7, {"zsr_job": "100-0", "target": "beta"}),),
    why_silent="the source learns of it at its next run; until then only the target's own look knows it.",
)
