"""The address of the target leads to the source itself, so every run succeeds and there is no second copy."""

from dataclasses import replace

from alerts.notice import Severity
from replicator.daemon.health_check import HealthLevel
from tests.support.states import BEGIN, Alert, Fleet, Line, State, source, target


def _fleet(since: int) -> Fleet:
    minute = BEGIN + since
    return {"alpha": replace(source(minute), same_machine={"beta": "alpha"}), "beta": target(minute)}


STATE = State(
    key="invented 5",
    title="the address of a target leads to the source's own machine, so there is no copy elsewhere",
    produced="nodes.beta.address copied from alpha, or DNS that leads back; another path by storages.NAME.paths",
    fleet=_fleet,
    lasts=60,
    alerts=(Alert("ZsrTargetIsSource", Severity.CRITICAL, 17, {"target": "beta", "source": "alpha"}),),
    check=Line(HealthLevel.CRITICAL, "target beta is this machine itself"),
    why_silent="a message is made of runs, and each of these succeeds; `zsr check` and the alert say it.",
)
