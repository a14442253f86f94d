"""A look at a node's own ZFS does not come to its end."""

from dataclasses import replace

from alerts.notice import Severity
from replicator.daemon.health_check import HealthLevel
from tests.support.states import BEGIN, Alert, Fleet, Line, State, moment, well


def _fleet(since: int) -> Fleet:
    fleet = well(BEGIN + since)
    beta = well(BEGIN)["beta"]
    assert beta is not None
    return {**fleet, "beta": replace(beta, time=moment(BEGIN + since))}


STATE = State(
    key="hanging look",
    title="a look at a target's own ZFS hangs, and all that it knows stands still",
    produced="zfs list hangs on beta without an end, while runs to another pool go on",
    fleet=_fleet,
    lasts=60,
    alerts=(
        Alert("ZsrZfsUnreadable", Severity.WARNING, 27, {"instance": "beta"}),
        Alert("ZsrReplicaStale", Severity.CRITICAL, 31, {"instance": "alpha"}),
    ),
    check=Line(HealthLevel.WARNING, "the ZFS of this node was last read", node="beta"),
    why_silent="no promise is broken by it as far as zsr knows; runs that fail are reported by their source.",
)
