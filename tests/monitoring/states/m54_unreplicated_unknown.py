"""It is not known how many bytes of a job wait to be sent."""

from dataclasses import replace

from alerts.notice import Severity
from replicator.api.status import Unmeasured
from replicator.models import JobId
from tests.support.states import BEGIN, Alert, Fleet, State, job, source, target


def _fleet(since: int) -> Fleet:
    well = job(BEGIN + since)
    unknown = replace(well, state=replace(well.state, unreplicated_bytes=None))
    alpha = replace(source(BEGIN + since, unknown), unmeasured={JobId(100, 0): Unmeasured.ZFS})
    return {"alpha": alpha, "beta": target(BEGIN + since)}


STATE = State(
    key="monitoring 54",
    title="it is not known how many bytes of a job wait, so nobody sees that the next run does not fit",
    produced="the ZFS of alpha does not report the bytes written since a snapshot",
    fleet=_fleet,
    lasts=420,
    alerts=(Alert("ZsrUnreplicatedUnknown", Severity.INFO, 367, {"reason": "zfs"}),),
    why_silent="no promise is broken; a run that does not fit fails with no_space, which is reported.",
    step=3,
)
