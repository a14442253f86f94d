"""The only date of a schedule has passed, and the promise is the one that follows from the schedule."""

from dataclasses import replace

from alerts.notice import Severity
from replicator.schedule.scheduler import RPO_WITHOUT_EVENTS_SECONDS
from tests.support.states import BEGIN, Alert, Fleet, State, job, source, target


def _fleet(since: int) -> Fleet:
    before = job(BEGIN)
    ended = replace(before, job=replace(before.job, schedule="2026-12-24 22:00"), next_run=None)
    alpha = source(BEGIN + since, replace(ended, rpo=RPO_WITHOUT_EVENTS_SECONDS))
    return {"alpha": alpha, "beta": target(BEGIN + since, held=before.state.last_sync)}


STATE = State(
    key="invented 13",
    title="a schedule of one date has fired for the last time, so the copy gets older forever",
    produced='zsr update 100-0 --schedule "2026-12-24 22:00" before a move, and not changed back after it',
    fleet=_fleet,
    lasts=60,
    alerts=(Alert("ZsrRpoAtRisk", Severity.WARNING, 5, {"zsr_job": "100-0"}),),
    why_silent="the promise is not broken yet.",
)
