"""Two machines run zsr under one node name, and take turns behind its address."""

from dataclasses import replace

from alerts.notice import NoticeKind, Severity
from replicator.api.disagreement import Dispute
from replicator.daemon.health_check import HealthLevel
from tests.support.states import BEGIN, Alert, Fleet, Line, Message, State, disagreeing, source, target

TEXT = "two machines are called alpha: beta met another one than this"


def _fleet(since: int) -> Fleet:
    minute = BEGIN + since
    alpha = disagreeing(source(minute), Dispute.NAME, TEXT)
    clone = replace(alpha, view=replace(alpha.view, boot="clone"))
    return {"alpha": clone if since % 2 else alpha, "beta": target(minute)}


STATE = State(
    key="monitoring 25",
    title="two machines have one node name",
    produced="a clone of alpha's disk is started, or the host that alpha replaced is switched on again",
    fleet=_fleet,
    alerts=(Alert("ZsrNodeNameTwice", Severity.CRITICAL, 20, {"node": "alpha"}),),
    message=Message(NoticeKind.NODES_DISAGREE, Severity.CRITICAL, 2),
    check=Line(HealthLevel.CRITICAL, TEXT),
)
