"""The event loop is late by tens of seconds, and the daemon still answers."""

from dataclasses import replace

from alerts.notice import Severity
from tests.support.states import BEGIN, Alert, Fleet, State, source, target


def _fleet(since: int) -> Fleet:
    return {"alpha": replace(source(BEGIN + since), event_loop_lag=20.0), "beta": target(BEGIN + since)}


STATE = State(
    key="monitoring 3",
    title="the daemon is late with everything by tens of seconds, and still answers",
    produced="a template of a message that computes for 20 seconds, again and again",
    fleet=_fleet,
    lasts=60,
    alerts=(Alert("ZsrEventLoopLate", Severity.WARNING, 22, {"instance": "alpha"}),),
    why_silent="the promise holds; what is late is the same loop that would send the message.",
)
