"""A job was disabled, and nobody enabled it again."""

from alerts.notice import Severity
from replicator.daemon.health_check import HealthLevel
from tests.support.state_fleets import disabled
from tests.support.states import BEGIN, HOUR, Alert, Fleet, Line, State, moment, well

SINCE = moment(BEGIN) - 23 * HOUR


def _fleet(since: int) -> Fleet:
    return disabled(since, SINCE)


STATE = State(
    key="monitoring 18",
    title="a job was disabled by mistake, or before an upgrade, and is forgotten",
    produced="zsr disable 100-0, and a day without zsr enable",
    fleet=_fleet,
    lasts=120,
    alerts=(Alert("ZsrJobDisabled", Severity.INFO, 66, {"zsr_job": "100-0", "target": "beta"}),),
    check=Line(HealthLevel.OK, "disabled for 1 d"),
    why_silent="it was asked for: each digest names the job and for how long it has been disabled.",
    calm=lambda minute: _fleet(minute - BEGIN) if minute < BEGIN else well(minute),
)
