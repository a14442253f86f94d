"""The cluster files of two nodes differ, so that both own a guest."""

from dataclasses import replace

from alerts.notice import NoticeKind, Severity
from replicator.api.disagreement import Dispute
from replicator.api.status import GuestOwner
from replicator.daemon.health_check import HealthLevel
from tests.support.states import BEGIN, Alert, Fleet, Line, Message, State, disagreeing, other_view, source, target

TEXT = "guest 100 is owned twice: alpha and beta each say that they own it"


def _fleet(since: int) -> Fleet:
    minute = BEGIN + since
    beta = replace(target(minute), owners={100: GuestOwner("beta", 2)})
    return {"alpha": disagreeing(source(minute), Dispute.OWNER, TEXT), "beta": other_view(beta)}


STATE = State(
    key="monitoring 24",
    title="the cluster files differ, and two nodes own a guest",
    produced="guest 100 and its job are turned round in beta's file only, and alpha comes back with its old one",
    fleet=_fleet,
    alerts=(
        Alert("ZsrOwnersDisagree", Severity.CRITICAL, 20, {"guest": "100"}),
        Alert("ZsrClusterFilesDiffer", Severity.WARNING, 20),
    ),
    message=Message(NoticeKind.NODES_DISAGREE, Severity.CRITICAL, 6),
    check=Line(HealthLevel.CRITICAL, TEXT),
)
