"""A transfer moves no byte any more."""

from dataclasses import replace

from alerts.notice import NoticeKind, Severity
from replicator.api.job_status import Transfer
from replicator.daemon.health_check import HealthLevel
from replicator.models import JobCondition
from tests.support.state_fleets import LAST
from tests.support.states import BEGIN, Alert, Fleet, Line, Message, State, job, moment, source, target


def _fleet(since: int) -> Fleet:
    minute, before = BEGIN + since, job(BEGIN - 15)
    start = moment(BEGIN)
    state = replace(before.state, last_try=start, last_start=start)
    stands = Transfer(
        run=701, start=start, step="transfer", done_bytes=1000, expected_bytes=10**9, transferring=True
    )  # fmt: skip
    stalled = replace(
        before,
        state=state,
        condition=JobCondition.SYNCING,
        transfer=stands,
        sent_bytes_total=before.sent_bytes_total + 1000,
        next_run=start + 900,
    )
    return {"alpha": source(minute, stalled), "beta": target(minute, held=LAST)}


STATE = State(
    key="monitoring 60",
    title="a transfer moves no byte any more",
    produced="SIGSTOP for zfs receive on the target, with a stall_timeout of hours",
    fleet=_fleet,
    lasts=60,
    alerts=(
        Alert("ZsrTransferStalled", Severity.WARNING, 20, {"zsr_job": "100-0"}),
        Alert("ZsrRpoBreached", Severity.CRITICAL, 20, {"zsr_job": "100-0"}),
    ),
    tolerated=("ZsrRpoAtRisk",),
    message=Message(NoticeKind.RPO_BREACHED, Severity.CRITICAL, 19),
    check=Line(HealthLevel.CRITICAL, "promised are at most 30 min"),
)
