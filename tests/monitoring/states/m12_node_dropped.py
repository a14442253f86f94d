"""A node is dropped from Prometheus' targets while an alert about it fires."""

from alerts.notice import Severity
from replicator.errors import ErrorClass
from tests.support.state_fleets import failing
from tests.support.states import Alert, Fleet, State

DROPPED = 40
"""Minutes after the begin; the promise has been broken for a while by then."""
ERROR = (ErrorClass.NO_SPACE, "tank on beta is full.")


def _fleet(since: int) -> Fleet:
    fleet = failing(since, *ERROR)
    return {"beta": fleet["beta"]} if since >= DROPPED else fleet


STATE = State(
    key="monitoring 12",
    title="a node is dropped from the targets of Prometheus, and its firing alerts end",
    produced="the promise of guest 100 is broken, and alpha is taken out of the list that service discovery gives",
    fleet=_fleet,
    lasts=120,
    alerts=(Alert("ZsrNodeNotScraped", Severity.CRITICAL, DROPPED + 36, {"node": "alpha"}),),
    why_silent="the daemons do not know whom Prometheus scrapes; alpha's own messages about its job go on.",
)
