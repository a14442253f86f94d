"""A job has been disabled for a week, with a half-received state on its target."""

from alerts.notice import Severity
from replicator.daemon.health_check import HealthLevel
from tests.support.state_fleets import disabled
from tests.support.states import BEGIN, Alert, Fleet, Line, State, moment, well
from tests.support.statuses import DAY

LASTS = 120
SINCE = moment(BEGIN) - 7 * DAY


def _calm(minute: int) -> Fleet:
    return disabled(minute - BEGIN, SINCE, resume=True) if minute < BEGIN else well(minute)


STATE = State(
    key="disabled for a week",
    title="a job has been disabled for a week, and a half-received state of it waits on the target",
    produced="zsr cancel during a transfer, zsr disable 100-0, and a week without zsr enable",
    fleet=lambda since: disabled(since, SINCE, resume=True),
    lasts=LASTS,
    alerts=(Alert("ZsrJobDisabledForAWeek", Severity.WARNING, 3, {"zsr_job": "100-0", "target": "beta"}),),
    tolerated=("ZsrJobDisabled",),
    check=Line(HealthLevel.WARNING, "a half-received state waits on beta"),
    why_silent="each digest names the job, for how long it has been disabled, and the half-received state.",
    calm=_calm,
)
