"""The cluster files of two nodes differ, so that neither owns a guest."""

from dataclasses import replace

from alerts.notice import NoticeKind, Severity
from replicator.api.disagreement import Dispute
from replicator.api.status import GuestOwner
from replicator.daemon.health_check import HealthLevel
from tests.support.states import (
    BEGIN,
    Alert,
    Fleet,
    Line,
    Message,
    State,
    disagreeing,
    job,
    moment,
    other_view,
    slot,
    source,
    target,
)

TEXT = "guest 100 is owned by none: alpha says that beta owns it, beta says that alpha owns it"


def _fleet(since: int) -> Fleet:
    minute = BEGIN + since
    other = replace(job(minute, "101-0", name="mail"), guest=None)
    alpha = disagreeing(source(minute, other), Dispute.OWNER, TEXT)
    beta = replace(target(minute, held=slot(moment(BEGIN))), owners={100: GuestOwner("alpha", 1)})
    return {"alpha": other_view(replace(alpha, owners={100: GuestOwner("beta", 1)})), "beta": beta}


STATE = State(
    key="monitoring 23",
    title="the cluster files differ, and no node owns a guest",
    produced="guest 100 and its job are turned round in alpha's file, and not in beta's",
    fleet=_fleet,
    alerts=(
        Alert("ZsrOwnersDisagree", Severity.CRITICAL, 20, {"guest": "100"}),
        Alert("ZsrClusterFilesDiffer", Severity.WARNING, 20),
    ),
    tolerated=("ZsrReplicaStale",),
    message=Message(NoticeKind.NODES_DISAGREE, Severity.CRITICAL, 6),
    check=Line(HealthLevel.CRITICAL, TEXT),
)
