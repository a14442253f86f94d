"""Prometheus drops a metric that the rules need, and a promise breaks."""

from alerts.notice import NoticeKind, Severity
from replicator.daemon.health_check import HealthLevel
from replicator.errors import ErrorClass
from tests.support.state_fleets import failing, failures
from tests.support.states import Alert, Line, Message, State

ERROR = (ErrorClass.ZFS, "zfs receive failed on beta.")

STATE = State(
    key="states 22",
    title="Prometheus drops a metric that the rules need, and a promise breaks",
    produced="metric_relabel_configs that drop zsr_job_info",
    fleet=lambda since: failing(since, *ERROR),
    dropped=frozenset({"zsr_job_info"}),
    lasts=60,
    alerts=(Alert("ZsrRulesBlind", Severity.CRITICAL, 17, {"instance": "alpha"}),),
    message=Message(NoticeKind.FAILED, Severity.WARNING, 16),
    check=Line(HealthLevel.WARNING, "zfs receive failed on beta"),
    events=failures(*ERROR),
)
