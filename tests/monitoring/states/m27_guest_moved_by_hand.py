"""A guest was moved by editing its node in the cluster file, and its new owner's runs are refused."""

from dataclasses import replace

from alerts.notice import NoticeKind, Severity
from replicator.api.status import GuestOwner
from replicator.daemon.health_check import HealthLevel
from replicator.errors import ErrorClass
from replicator.models import GuestId
from tests.support.state_fleets import LAST, failing_job, failures
from tests.support.states import BEGIN, Alert, Fleet, Line, Message, State, job, moment, source, target, well

ERROR = (ErrorClass.SUPERSEDED, "Guest 100 belongs to alpha, as its replica on beta says.")


def _fleet(since: int) -> Fleet:
    minute, failing = BEGIN + since, failing_job(since, *ERROR)
    state = replace(failing.state, created=moment(BEGIN), last_sync=None, last_set=None, runs_succeeded=0)
    guest = None if failing.guest is None else replace(failing.guest, node="gamma")
    moved = replace(failing, source="gamma", guest=guest, state=replace(state, sent_bytes_total=0), sent_bytes_total=0)
    owners: dict[GuestId, GuestOwner] = {100: GuestOwner("gamma", 1)}
    # alpha keeps another guest's job, so that its daemon still has one
    alpha = source(minute, job(minute, "101-0", name="mail"))
    return {
        "alpha": alpha,
        "beta": replace(target(minute, held=LAST), owners=owners),
        "gamma": replace(source(minute, moved), node="gamma", owners=owners),
    }


def _calm(minute: int) -> Fleet:
    idle = replace(source(minute), node="gamma", jobs=(), source_snapshots={}, coverage={}, owners={})
    return {**well(minute), "gamma": idle}


STATE = State(
    key="monitoring 27",
    title="a guest was moved by editing its node in the cluster file, and its new owner is refused by the target",
    produced='node = "gamma" at guests.100 in all files, and no zsr adopt 100-0 on gamma',
    fleet=_fleet,
    lasts=120,
    alerts=(
        Alert("ZsrJobFailing", Severity.WARNING, 20, {"zsr_job": "100-0"}),
        Alert("ZsrNeverReplicated", Severity.WARNING, 95, {"zsr_job": "100-0"}),
    ),
    message=Message(NoticeKind.RPO_BREACHED, Severity.CRITICAL, 34, node="gamma"),
    check=Line(HealthLevel.CRITICAL, "there is no copy at all", node="gamma"),
    calm=_calm,
    events={minute: tuple(("gamma", event) for _, event in found) for minute, found in failures(*ERROR).items()},
)
