"""Two targets of a guest are two names of one machine."""

from dataclasses import replace

from alerts.notice import Severity
from replicator.daemon.health_check import HealthLevel
from tests.support.states import BEGIN, Alert, Fleet, Line, State, job, source, target


def _fleet(minute: int) -> Fleet:
    return {"alpha": source(minute, job(minute), job(minute, "100-1", target="gamma")), "beta": target(minute)}


def _shared(since: int) -> Fleet:
    fleet = _fleet(BEGIN + since)
    alpha = fleet["alpha"]
    return {**fleet, "alpha": alpha and replace(alpha, same_machine={"gamma": "beta"})}


STATE = State(
    key="invented 6",
    title="two targets of a guest are the same machine, so their copies are lost together",
    produced="gamma is a second name, or a container, of beta",
    fleet=_shared,
    calm=_fleet,
    lasts=60,
    alerts=(Alert("ZsrTargetsShareMachine", Severity.WARNING, 17, {"node": "gamma", "other": "beta"}),),
    check=Line(HealthLevel.WARNING, "targets gamma and beta are the same machine"),
    why_silent="a message is made of runs, and each of these succeeds; `zsr check` and the alert say it.",
)
