"""The source goes back in time."""

from alerts.notice import NoticeKind, Severity
from replicator.daemon.health_check import HealthLevel
from replicator.events import SourceWentBack
from replicator.models import JobId
from tests.support.state_fleets import changed_source
from tests.support.states import BEGIN, Alert, Line, Message, State, moment

STATE = State(
    key="states 9",
    title="the source goes back in time",
    produced="zfs rollback -r of the volumes to an old set; a run",
    fleet=lambda since: changed_source(BEGIN + since, went_back_at=moment(BEGIN)),
    calm=lambda minute: changed_source(minute, went_back_at=moment(BEGIN)),
    lasts=24 * 60,
    step=5,
    alerts=(Alert("ZsrSourceWentBack", Severity.CRITICAL, 10, {"zsr_job": "100-0"}),),
    message=Message(NoticeKind.SOURCE_WENT_BACK, Severity.CRITICAL, 1),
    check=Line(HealthLevel.CRITICAL, "the source went back in time"),
    events={
        0: (
            (
                "alpha",
                SourceWentBack(
                    moment(BEGIN), JobId(100, 0), 700, ("rpool/data/vm-100-disk-0",), 3, moment(BEGIN) - 900
                ),
            ),
        )
    },
)
