"""The nodes of a storage lack the source, which has a disk there."""

from alerts.notice import Severity
from replicator.api.coverage import Gap
from replicator.daemon.health_check import HealthLevel
from tests.support.states import Alert, Line, State, uncovered

STATE = State(
    key="monitoring 33",
    title="the nodes of a storage lack the source, which has a disk there",
    produced="nodes = ['beta'] at a storage whose path exists on alpha",
    fleet=uncovered("slow/vm-100-disk-2", Gap.STORAGE),
    lasts=400,
    alerts=(Alert("ZsrGuestUncovered", Severity.WARNING, 364, {"guest": "100"}),),
    check=Line(HealthLevel.WARNING, "slow/vm-100-disk-2"),
    why_silent="the digest names it; a message of its own would come with every move of a disk.",
    step=2,
)
