"""A replica was renamed on the target to keep it: it has the mark of a job and belongs to no volume."""

from dataclasses import replace

from alerts.notice import NoticeKind, Severity
from replicator.daemon.health_check import HealthLevel
from replicator.events import VolumesVanished
from replicator.models import JobId
from tests.support.state_records import gone
from tests.support.states import BEGIN, Alert, Fleet, Line, Message, State, job, moment, source, target

KEPT = "rpool/data/vm-100-disk-0-before-upgrade"


def _fleet(since: int) -> Fleet:
    minute, well = BEGIN + since, job(BEGIN + since)
    keeping = replace(well, state=replace(well.state, vanished=gone(KEPT, at=moment(BEGIN))))
    return {"alpha": source(minute, keeping), "beta": target(minute)}


STATE = State(
    key="states 16",
    title="a replica was renamed on the target to keep it",
    produced="zfs rename of a replica on the target, a full copy under the old name; a run",
    fleet=_fleet,
    lasts=120,
    alerts=(Alert("ZsrVolumesVanished", Severity.WARNING, 63, {"zsr_job": "100-0"}),),
    message=Message(NoticeKind.VOLUMES_VANISHED, Severity.WARNING, 1),
    check=Line(HealthLevel.WARNING, KEPT),
    events={0: (("alpha", VolumesVanished(moment(BEGIN), JobId(100, 0), 700, (KEPT,))),)},
)
