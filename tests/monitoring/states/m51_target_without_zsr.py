"""A target runs no zsr, and its pool fills; nothing is reported of the daemon that it does not have."""

from dataclasses import replace

from alerts.notice import Severity
from replicator.api.held import TargetLook
from tests.support.state_fleets import TANK, without_zsr
from tests.support.states import BEGIN, Alert, Fleet, State


def _fleet(since: int) -> Fleet:
    minute = BEGIN + since
    fleet = without_zsr(minute)
    alpha = fleet["alpha"]
    if alpha is None:
        raise AssertionError("alpha answers")
    full = TargetLook(alpha.targets["beta"].replicas, {100: 0}, (replace(TANK, free=10**11),))
    return without_zsr(minute, look=full)


STATE = State(
    key="monitoring 51",
    title="the pool of a target that runs no zsr, and is declared so, is nearly full",
    produced="zsr = false at nodes.beta, no daemon there, and a file of 90 % of its pool",
    fleet=_fleet,
    lasts=60,
    alerts=(Alert("ZsrTargetPoolNearlyFull", Severity.WARNING, 17, {"instance": "beta", "pool": "tank"}),),
    why_silent="no run has failed yet; its messages are about jobs.",
    calm=without_zsr,
)
