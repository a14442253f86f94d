"""A guest is restored, and replicated while the restore still writes.

The message names the replicas that are kept: until the new volumes are whole, those are the copy to use.
"""

from alerts.notice import NoticeKind, Severity
from replicator.daemon.health_check import HealthLevel
from replicator.events import GuestReplaced
from replicator.models import JobId
from tests.support.state_fleets import changed_source
from tests.support.states import BEGIN, Alert, Line, Message, State, moment

STATE = State(
    key="states 12",
    title="a guest is restored, and replicated while the restore still writes",
    produced="qmrestore --force of a running guest; a run before it has ended",
    fleet=lambda since: changed_source(BEGIN + since, replaced_at=moment(BEGIN)),
    calm=lambda minute: changed_source(minute, replaced_at=moment(BEGIN)),
    lasts=24 * 60,
    step=5,
    alerts=(Alert("ZsrGuestReplaced", Severity.CRITICAL, 10, {"zsr_job": "100-0"}),),
    message=Message(NoticeKind.GUEST_REPLACED, Severity.CRITICAL, 1),
    check=Line(HealthLevel.CRITICAL, "all volumes of the guest were replaced"),
    events={0: (("alpha", GuestReplaced(moment(BEGIN), JobId(100, 0), 700, ("rpool/data/vm-100-disk-0",))),)},
)
