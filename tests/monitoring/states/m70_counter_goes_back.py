"""A counter goes back, because the daemon is killed in the middle of a transfer."""

from dataclasses import replace

from alerts.notice import NoticeKind, Severity
from replicator.daemon.health_check import HealthLevel
from tests.monitoring.states import m41_first_copy_fails
from tests.support.states import BEGIN, Alert, Fleet, Line, Message, State, moment

SENT = 2_500_000_000
"""Bytes of the transfer that was cut off; they are in no record, so the counter falls back to nothing."""
KILLED = 100
"""Minutes after the begin; the promise and an hour have passed by then."""


def _fleet(since: int) -> Fleet:
    fleet = m41_first_copy_fails.STATE.fleet(since)
    alpha = fleet["alpha"]
    assert alpha is not None
    if since < KILLED:
        (found,) = alpha.jobs
        return {**fleet, "alpha": replace(alpha, jobs=(replace(found, sent_bytes_total=SENT),))}
    return {**fleet, "alpha": replace(alpha, started=moment(BEGIN + KILLED))}


STATE = State(
    key="monitoring 70",
    title="a daemon is killed in a transfer, so that a counter goes back",
    produced="kill -9 of the daemon while a first copy is being sent, after failures; no run succeeds",
    fleet=_fleet,
    lasts=180,
    alerts=(
        Alert("ZsrNeverReplicated", Severity.WARNING, KILLED + 18, {"zsr_job": "100-0"}),
        Alert("ZsrJobFailing", Severity.WARNING, KILLED + 18, {"zsr_job": "100-0"}),
    ),
    message=Message(NoticeKind.RPO_BREACHED, Severity.CRITICAL, 34),
    check=Line(HealthLevel.CRITICAL, "there is no copy at all"),
)
