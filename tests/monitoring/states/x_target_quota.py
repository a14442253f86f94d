"""A quota on the target leaves a storage no room, though its pool is half empty."""

from dataclasses import replace

from alerts.notice import Severity
from replicator.api.held import PoolRole, StorageSpace
from tests.support.states import BEGIN, Alert, Fleet, State, source, target


def _fleet(since: int) -> Fleet:
    small = (StorageSpace("local-zfs", "tank", PoolRole.TARGET, 10**11, 10**9),)
    return {"alpha": source(BEGIN + since), "beta": replace(target(BEGIN + since), storages=small)}


STATE = State(
    key="space 1",
    title="a quota on the target leaves a storage no room, though its pool is half empty",
    produced="zfs set quota=SIZE on the path of a storage",
    fleet=_fleet,
    lasts=60,
    alerts=(Alert("ZsrTargetPoolNearlyFull", Severity.WARNING, 17, {"instance": "beta", "storage": "local-zfs"}),),
    why_silent="no run has failed yet; the source does not ask for the target's space, the target has no job.",
)
