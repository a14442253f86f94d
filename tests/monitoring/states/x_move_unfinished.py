"""The command that moves a guest died, and the guest is off."""

from dataclasses import replace

from alerts.notice import Severity
from replicator.api.moves import MovingGuest
from replicator.daemon.health_check import HealthLevel
from tests.support.states import BEGIN, Alert, Fleet, Line, State, moment, source, target, well


def _fleet(since: int) -> Fleet:
    minute = BEGIN + since
    moving = (MovingGuest(100, "web", "beta", moment(BEGIN)),)
    return {"alpha": replace(source(minute), moving=moving), "beta": target(minute)}


def _calm(minute: int) -> Fleet:
    moving = (MovingGuest(100, "web", "beta", moment(minute) - 60),)
    return {**well(minute), "alpha": replace(source(minute), moving=moving)}


STATE = State(
    key="move unfinished",
    title="the command that moves a guest died, and the guest is off",
    produced="kill -9 of zsr guest move after it stopped the guest",
    fleet=_fleet,
    calm=_calm,
    lasts=60,
    alerts=(Alert("ZsrMoveUnfinished", Severity.CRITICAL, 18, {"guest": "100", "node": "beta"}),),
    check=Line(HealthLevel.CRITICAL, "guest 100 (web) is being moved to beta for"),
    why_silent="a person typed the command and sees that it died; no copy is late.",
)
