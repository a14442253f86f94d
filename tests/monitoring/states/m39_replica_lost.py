"""A run found the replica gone, and sends all of it again for hours."""

from dataclasses import replace

from alerts.notice import NoticeKind, Severity
from replicator.daemon.health_check import HealthLevel
from replicator.events import ReplicaLost
from replicator.models import JobId
from tests.support import statuses
from tests.support.states import BEGIN, Alert, Fleet, Line, Message, State, job, moment, source, target


def _fleet(since: int) -> Fleet:
    minute = BEGIN + since
    before = job(BEGIN)
    sending = statuses.lost(now=moment(BEGIN) + 60)
    sent = before.sent_bytes_total + 10_000_000 * since
    state = replace(
        before.state, last_sync=None, last_try=moment(BEGIN), last_start=moment(BEGIN), sent_bytes_total=sent
    )
    transfer = sending.transfer and replace(sending.transfer, start=moment(BEGIN), done_bytes=10_000_000 * since)
    again = replace(sending, guest=before.guest, state=state, transfer=transfer, sent_bytes_total=sent,
                    next_run=moment(BEGIN) + 900)  # fmt: skip
    return {"alpha": source(minute, again), "beta": replace(target(minute), replicas=())}


STATE = State(
    key="monitoring 39",
    title="a replica is gone, and all of it is sent again for hours",
    produced="zfs destroy -r of the replica on the target; the next run finds it",
    fleet=_fleet,
    lasts=60,
    alerts=(Alert("ZsrReplicaLost", Severity.CRITICAL, 3, {"zsr_job": "100-0"}),),
    message=Message(NoticeKind.REPLICA_LOST, Severity.CRITICAL, 1),
    check=Line(HealthLevel.CRITICAL, "the replica is lost"),
    events={0: (("alpha", ReplicaLost(moment(BEGIN), JobId(100, 0), 700, moment(BEGIN) - 900)),)},
)
