"""A new disk of a guest is found by its name, and sending it takes longer than the promise."""

from dataclasses import replace

from alerts.notice import NoticeKind, Severity
from replicator.api.job_status import Transfer
from replicator.daemon.health_check import HealthLevel
from replicator.models import JobCondition
from tests.support.states import BEGIN, Alert, Fleet, Line, Message, State, job, moment, source, target

SIZE = 2_000_000_000_000


def _fleet(since: int) -> Fleet:
    minute, before = BEGIN + since, job(BEGIN - 15)
    start, done = moment(BEGIN), 6_000_000_000 * since
    state = replace(before.state, last_try=start, last_start=start)
    sending = replace(
        before,
        state=state,
        condition=JobCondition.SYNCING,
        next_run=start + 900,
        transfer=Transfer(701, start, "transfer", done, SIZE, transferring=True),
        sent_bytes_total=before.sent_bytes_total + done,
    )
    return {"alpha": source(minute, sending), "beta": target(minute, held=before.state.last_sync)}


STATE = State(
    key="monitoring 30",
    title="a new disk is found by its name, and sending it takes longer than the promise",
    produced="a disk of 2 TB is added to a guest without a list of volumes",
    fleet=_fleet,
    lasts=60,
    alerts=(Alert("ZsrRpoBreached", Severity.CRITICAL, 20, {"zsr_job": "100-0"}),),
    tolerated=("ZsrRpoAtRisk",),
    message=Message(NoticeKind.RPO_BREACHED, Severity.CRITICAL, 20),
    check=Line(HealthLevel.CRITICAL, "promised are at most 30 min"),
)
