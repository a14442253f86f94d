"""The cluster file has an error."""

from dataclasses import replace

from alerts.notice import NoticeKind, Severity
from replicator.api.status import ConfigStatus
from replicator.daemon.health_check import HealthLevel
from tests.support.states import BEGIN, Alert, Fleet, Line, Message, State, moment, well


def _fleet(since: int) -> Fleet:
    found = well(BEGIN + since)
    wrong = ConfigStatus(ok=False, last_success=moment(BEGIN), problems=("jobs.100-0: no such key: 'shedule'.",))
    return {node: status and replace(status, config=wrong) for node, status in found.items()}


STATE = State(
    key="monitoring 21",
    title="the cluster file has an error",
    produced="a key that does not exist is written into cluster.toml",
    fleet=_fleet,
    lasts=60,
    alerts=(
        Alert("ZsrSettingsRejected", Severity.WARNING, 12, {"instance": "alpha"}),
        Alert("ZsrSettingsRejected", Severity.WARNING, 12, {"instance": "beta"}),
    ),
    message=Message(NoticeKind.SETTINGS_REJECTED, Severity.WARNING, 3),
    check=Line(HealthLevel.WARNING, "no such key: 'shedule'"),
)
