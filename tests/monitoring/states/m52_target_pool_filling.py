"""The target's pool is nearly full."""

from dataclasses import replace

from alerts.notice import Severity
from replicator.api.held import PoolRole, PoolSpace
from tests.support.states import BEGIN, Alert, Fleet, State, source, target


def _fleet(since: int) -> Fleet:
    full = (PoolSpace("tank", PoolRole.TARGET, 10**13, 10**11),)
    return {"alpha": source(BEGIN + since), "beta": replace(target(BEGIN + since), pools=full)}


STATE = State(
    key="monitoring 52",
    title="the target's pool is nearly full",
    produced="a file of 90 % of the pool on the target",
    fleet=_fleet,
    lasts=60,
    alerts=(Alert("ZsrTargetPoolNearlyFull", Severity.WARNING, 17, {"instance": "beta", "pool": "tank"}),),
    why_silent="no run has failed yet; the source does not ask for the target's space, the target has no job.",
)
