"""A source's state.db is lost while a promise is broken and the target is down."""

from dataclasses import replace

from alerts.notice import NoticeKind, Severity
from replicator.daemon.health_check import HealthLevel
from replicator.errors import ErrorClass
from replicator.models import JobState
from tests.support.state_fleets import LAST, failing_job
from tests.support.states import BEGIN, Alert, Fleet, Line, Message, State, moment, source, target

LOST = 60
"""Minutes after the begin; the page of the broken promise is out by then, and ends."""
ERROR = (ErrorClass.NETWORK, "Node beta does not answer on port 22.")


def _fleet(since: int) -> Fleet:
    failing = failing_job(since, *ERROR)
    alpha = replace(source(BEGIN + since, failing), reachable={"beta": False})
    if since >= LOST:
        made = moment(BEGIN + LOST)
        state = JobState(
            created=made,
            last_try=failing.state.last_try,
            last_start=failing.state.last_start,
            last_duration=10.0,
            consecutive_failures=1 + (since - LOST) // 30,
            failing_since=made,
            failure=failing.state.failure,
            runs_failed=1 + (since - LOST) // 30,
        )
        known = replace(failing, state=state, forgotten=True)
        alpha = replace(alpha, jobs=(known,), started=made, state_created=made)
    return {"alpha": alpha, "beta": target(BEGIN + since, held=LAST)}


STATE = State(
    key="monitoring 68",
    title="state.db is lost while the target is down, and the page about the broken promise ends by that",
    produced="beta is off for an hour; then alpha's state.db is deleted and zsr restarted",
    fleet=_fleet,
    lasts=180,
    alerts=(
        Alert("ZsrTargetUnreachable", Severity.WARNING, 20, {"target": "beta"}),
        Alert("ZsrPromiseUnknown", Severity.CRITICAL, LOST + 34, {"target": "beta"}),
    ),
    tolerated=("ZsrJobFailing", "ZsrJobFailingForADay"),
    message=Message(NoticeKind.RPO_BREACHED, Severity.CRITICAL, LOST + 34),
    check=Line(HealthLevel.CRITICAL, "the age of the last copy is not known"),
    ends=60,
)
