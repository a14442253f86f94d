"""The ZFS of a target cannot be read by its own daemon."""

from dataclasses import replace

from alerts.notice import Severity
from replicator.daemon.health_check import HealthLevel
from tests.support.states import BEGIN, Alert, Fleet, Line, State, moment, source, target

WHY = "The ZFS modules are not loaded on node beta."


def _fleet(since: int) -> Fleet:
    beta = target(BEGIN + since, held=moment(BEGIN))
    blind = replace(
        beta,
        ready=False,
        not_ready=(WHY,),
        zfs_readable=False,
        looked_at={"beta": moment(BEGIN)},
        replicas=(),
        pools=(),
    )
    return {"alpha": source(BEGIN + since), "beta": replace(blind, diverged={})}


STATE = State(
    key="monitoring 50",
    title="a target cannot read its own ZFS",
    produced="the module is missing after an upgrade of the kernel on beta, and no run to it has been due yet",
    fleet=_fleet,
    lasts=60,
    alerts=(Alert("ZsrZfsUnreadable", Severity.WARNING, 12, {"instance": "beta"}),),
    check=Line(HealthLevel.WARNING, "not ready: The ZFS modules are not loaded", node="beta"),
    why_silent="no promise is broken by it yet; the runs to it that fail are reported by their source.",
)
