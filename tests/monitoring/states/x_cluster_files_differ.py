"""A job was added to the cluster file of one node, and the file was not copied to the other one."""

from alerts.notice import NoticeKind, Severity
from replicator.api.disagreement import Dispute
from replicator.daemon.health_check import HealthLevel
from tests.support.states import BEGIN, Alert, Fleet, Line, Message, State, disagreeing, other_view, source, target

TEXT = "the cluster files of alpha and beta differ: job 100-1"


def _fleet(since: int) -> Fleet:
    minute = BEGIN + since
    return {"alpha": disagreeing(source(minute), Dispute.FACTS, TEXT), "beta": other_view(target(minute))}


STATE = State(
    key="issue 14: files",
    title="the cluster files of two nodes differ, and both agree on the owners",
    produced="zsr create-local-job on alpha, and its file is not copied to beta",
    fleet=_fleet,
    alerts=(Alert("ZsrClusterFilesDiffer", Severity.WARNING, 20, {"store": "file"}),),
    message=Message(NoticeKind.FILES_DIFFER, Severity.WARNING, 16),
    check=Line(HealthLevel.WARNING, TEXT),
)
