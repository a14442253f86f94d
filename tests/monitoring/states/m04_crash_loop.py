"""The daemon ends and starts again every two minutes, and answers every other scrape."""

from dataclasses import replace

from alerts.notice import Severity
from tests.support.states import BEGIN, Alert, Fleet, State, moment, source, target


def _fleet(since: int) -> Fleet:
    minute = BEGIN + since
    lives = replace(source(minute), started=moment(minute) - 20)
    return {"alpha": lives if since % 2 else None, "beta": target(minute)}


STATE = State(
    key="monitoring 4",
    title="the daemon ends and starts again and again",
    produced="ExecStart with `timeout 90`",
    fleet=_fleet,
    lasts=60,
    alerts=(Alert("ZsrDaemonRestarting", Severity.CRITICAL, 12, {"instance": "alpha"}),),
    why_silent="a daemon does not remember how often it started; systemd does.",
)
