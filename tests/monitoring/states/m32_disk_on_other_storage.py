"""A disk was moved to a storage that the guest does not name."""

from alerts.notice import Severity
from replicator.api.coverage import Gap
from replicator.daemon.health_check import HealthLevel
from tests.support.states import Alert, Line, State, uncovered

STATE = State(
    key="monitoring 32",
    title="a disk was moved to a storage that the guest does not name",
    produced="storages = ['local-zfs'] at the guest, and its disk moved to another pool",
    fleet=uncovered("fast/vm-100-disk-0", Gap.STORAGE),
    lasts=400,
    alerts=(Alert("ZsrGuestUncovered", Severity.WARNING, 364, {"guest": "100"}),),
    check=Line(HealthLevel.WARNING, "fast/vm-100-disk-0"),
    why_silent="the digest names it; a message of its own would come with every move of a disk.",
    step=2,
)
