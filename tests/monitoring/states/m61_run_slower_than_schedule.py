"""A job's runs take longer than its schedule's gap."""

from dataclasses import replace

from alerts.notice import Severity
from tests.support.state_fleets import slow_job
from tests.support.states import BEGIN, Alert, Fleet, State, source, target


def _fleet(since: int) -> Fleet:
    slow = replace(slow_job(since, 30, 1200.0), rpo=7200.0)
    return {"alpha": source(BEGIN + since, slow), "beta": target(BEGIN + since, held=slow.state.last_sync)}


STATE = State(
    key="monitoring 61",
    title="a job's runs take longer than its schedule's gap, and its promise still holds",
    produced='a rate limit that makes a run of a */15 job take 20 minutes, with rpo = "2h"',
    fleet=_fleet,
    lasts=300,
    alerts=(Alert("ZsrReplicationFallingBehind", Severity.WARNING, 260, {"zsr_job": "100-0"}),),
    why_silent="the promise holds, and each run succeeds; the next run's time is in `zsr status`.",
    ends=130,
)
