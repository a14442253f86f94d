"""The pool of a source is nearly full."""

from dataclasses import replace

from alerts.notice import Severity
from replicator.api.held import PoolRole, PoolSpace
from tests.support.states import BEGIN, Alert, Fleet, State, source, target


def _fleet(since: int) -> Fleet:
    full = (PoolSpace("rpool", PoolRole.SOURCE, 10**12, 5 * 10**10),)
    return {"alpha": replace(source(BEGIN + since), pools=full), "beta": target(BEGIN + since)}


STATE = State(
    key="monitoring 53",
    title="the pool of a source is nearly full",
    produced="the target is away for a week while the guests overwrite their disks",
    fleet=_fleet,
    lasts=60,
    alerts=(Alert("ZsrSourcePoolNearlyFull", Severity.WARNING, 17, {"instance": "alpha", "pool": "rpool"}),),
    why_silent="no run fails because of it; the failing jobs that hold the space have messages of their own.",
)
