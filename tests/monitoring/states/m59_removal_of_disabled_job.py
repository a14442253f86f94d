"""The removal of a disabled job waits."""

from alerts.notice import Severity
from replicator.daemon.health_check import HealthLevel
from replicator.job_choices import Removal
from tests.support.state_fleets import disabled
from tests.support.states import BEGIN, HOUR, Alert, Fleet, Line, State, moment, well

SINCE = moment(BEGIN) - 23 * HOUR


def _fleet(since: int) -> Fleet:
    return disabled(since, SINCE, removal=Removal.FULL)


STATE = State(
    key="monitoring 59",
    title="the removal of a disabled job waits",
    produced="zsr disable 100-0, zsr delete 100-0, and a day without zsr enable",
    fleet=_fleet,
    lasts=120,
    alerts=(Alert("ZsrRemovalWaiting", Severity.INFO, 66, {"zsr_job": "100-0", "target": "beta"}),),
    check=Line(HealthLevel.OK, "its removal waits"),
    why_silent="nothing is lost: zsr delete says that it waits, and each digest names it.",
    calm=lambda minute: _fleet(minute - BEGIN) if minute < BEGIN else well(minute),
)
