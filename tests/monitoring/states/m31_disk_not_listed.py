"""A new disk is not in the list of its guest's volumes."""

from alerts.notice import Severity
from replicator.api.coverage import Gap
from replicator.daemon.health_check import HealthLevel
from tests.support.states import Alert, Line, State, uncovered

STATE = State(
    key="monitoring 31",
    title="a new disk is not in the list of its guest's volumes",
    produced="volumes = [...] in the cluster file, and a new disk on the same storage",
    fleet=uncovered("rpool/data/vm-100-disk-1", Gap.NOT_LISTED),
    lasts=400,
    alerts=(Alert("ZsrGuestUncovered", Severity.WARNING, 364, {"guest": "100"}),),
    check=Line(HealthLevel.WARNING, "rpool/data/vm-100-disk-1"),
    why_silent="the digest names it; a message of its own would come with every move of a disk.",
    step=2,
)
