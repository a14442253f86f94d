"""A half-received state waits for its job's next run for many hours."""

from dataclasses import replace

from alerts.notice import Severity
from tests.support.states import BEGIN, Alert, Fleet, State, job, moment, source, target


def _fleet(since: int) -> Fleet:
    minute, before = BEGIN + since, job(BEGIN)
    state = replace(before.state, resume_pending=True, runs_cancelled=1)
    weekly = replace(before, state=state, next_run=moment(BEGIN) + 7 * 86_400, rpo=14 * 86_400.0)
    return {"alpha": source(minute, weekly), "beta": target(minute, held=before.state.last_sync)}


STATE = State(
    key="monitoring 57",
    title="a half-received state waits for its job's next run for many hours",
    produced="zsr cancel during a transfer of a job that runs once a week",
    fleet=_fleet,
    lasts=500,
    alerts=(Alert("ZsrResumeWaiting", Severity.INFO, 430, {"zsr_job": "100-0"}),),
    why_silent="nothing is lost; a person has cancelled the run.",
    step=4,
)
