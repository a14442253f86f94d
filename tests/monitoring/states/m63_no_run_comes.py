"""A schedule that never fires again."""

from dataclasses import replace

from alerts.notice import Severity
from tests.support.states import BEGIN, Alert, Fleet, State, job, source, target


def _fleet(since: int) -> Fleet:
    before = job(BEGIN)
    status = source(BEGIN + since, replace(before, next_run=None))
    return {"alpha": status, "beta": target(BEGIN + since, held=before.state.last_sync)}


STATE = State(
    key="monitoring 63",
    title="a schedule has no time left in the future",
    produced='schedule = "2026-01-01 02:00" with rpo = "30m"',
    fleet=_fleet,
    lasts=25,
    alerts=(Alert("ZsrRpoAtRisk", Severity.WARNING, 5, {"zsr_job": "100-0"}),),
    why_silent="the promise is not broken yet.",
)
