"""A target without zsr dies between two runs of a nightly job."""

from dataclasses import replace

from alerts.notice import NoticeKind, Severity
from replicator.daemon.health_check import HealthLevel
from replicator.models import Node
from tests.support.states import BEGIN, Alert, Fleet, Line, Message, State, job, moment, source
from tests.support.statuses import DAY

NOTICED = 11
"""The comparison of clocks asks every ten minutes, and then each minute."""


def _with(minute: int, *, reachable: bool) -> Fleet:
    """Only alpha is scraped; its nightly job ran half an hour before the story begins."""
    nightly = job(0)
    nightly = replace(nightly, rpo=2 * DAY, next_run=DAY, state=replace(nightly.state, last_sync=moment(-30)))
    nodes = (Node("alpha", "10.0.0.1"), Node("beta", "10.0.0.2", zsr=False))
    return {"alpha": replace(source(minute, nightly), reachable={"beta": reachable}, nodes=nodes)}


STATE = State(
    key="states 14",
    title="a target without zsr dies between two runs of a nightly job",
    produced="the power of a backup box without zsr is cut five minutes after its run",
    fleet=lambda since: _with(BEGIN + since, reachable=since < NOTICED),
    calm=lambda minute: _with(minute, reachable=True),
    lasts=60,
    alerts=(Alert("ZsrTargetUnreachable", Severity.WARNING, NOTICED + 13, {"instance": "alpha", "target": "beta"}),),
    message=Message(NoticeKind.TARGET_UNREACHABLE, Severity.WARNING, NOTICED + 13),
    check=Line(HealthLevel.WARNING, "target beta does not answer"),
)
