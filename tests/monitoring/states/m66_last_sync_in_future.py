"""The clock was ahead when the last run succeeded, was corrected, and all runs since fail."""

from dataclasses import replace

from alerts.notice import NoticeKind, Severity
from replicator.daemon.health_check import HealthLevel
from replicator.errors import ErrorClass
from tests.support.state_fleets import LAST, failing_job, failures
from tests.support.states import BEGIN, Alert, Fleet, Line, Message, State, source, target

ERROR = (ErrorClass.ZFS, "zfs receive failed on beta.")
AHEAD = 4 * 365 * 86_400.0


def _fleet(since: int) -> Fleet:
    found = failing_job(since, *ERROR)
    wrong = replace(found, state=replace(found.state, last_sync=LAST + AHEAD))
    return {"alpha": source(BEGIN + since, wrong), "beta": target(BEGIN + since, held=LAST)}


STATE = State(
    key="monitoring 66",
    title="the last sync is years in the future, and all runs fail",
    produced="date -s '+4 years' before a run, then chronyc makestep; a target that refuses",
    fleet=_fleet,
    lasts=60,
    alerts=(
        Alert("ZsrLastSyncInFuture", Severity.CRITICAL, 20, {"zsr_job": "100-0"}),
        Alert("ZsrJobFailing", Severity.WARNING, 20, {"zsr_job": "100-0"}),
    ),
    message=Message(NoticeKind.FAILED, Severity.CRITICAL, 2),
    check=Line(HealthLevel.CRITICAL, "in the future, so its age is not known"),
    events=failures(*ERROR),
)
