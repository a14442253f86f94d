"""The promise to a second guest between the same two nodes breaks while the first one's page is acknowledged.

Each is an alert with its own label ``guest``, by which the example for Alertmanager groups these pages
(tests/monitoring/test_alertmanager.py).
"""

from dataclasses import replace

from alerts.notice import NoticeKind, Severity
from replicator.daemon.health_check import HealthLevel
from replicator.errors import ErrorClass
from tests.support.state_fleets import LAST, failing_job, failures
from tests.support.states import BEGIN, Alert, Fleet, Line, Message, State, job, source, target

ERROR = (ErrorClass.ZFS, "zfs receive failed on beta.")
LONGER = 5400.0
"""The promise to the second guest, which breaks an hour after that to the first."""


def _calm(minute: int) -> Fleet:
    second = replace(job(minute, "205-0", name="erp"), rpo=LONGER)
    return {"alpha": source(minute, job(minute), second), "beta": target(minute)}


def _fleet(since: int) -> Fleet:
    minute = BEGIN + since
    first, second = failing_job(since, *ERROR), replace(failing_job(since, *ERROR, "205-0"), rpo=LONGER)
    return {"alpha": source(minute, first, second), "beta": target(minute, held=LAST)}


STATE = State(
    key="states 8",
    title="the promise to a second guest breaks while the page of a first one is acknowledged",
    produced="two guests with jobs to one target on which zfs receive fails; the first page is acknowledged",
    fleet=_fleet,
    calm=_calm,
    lasts=100,
    alerts=(
        Alert("ZsrRpoBreached", Severity.CRITICAL, 80, {"zsr_job": "100-0"}),
        Alert("ZsrRpoBreached", Severity.CRITICAL, 80, {"zsr_job": "205-0"}),
        Alert("ZsrJobFailing", Severity.WARNING, 20, {"zsr_job": "100-0"}),
        Alert("ZsrJobFailing", Severity.WARNING, 20, {"zsr_job": "205-0"}),
    ),
    tolerated=("ZsrRpoAtRisk",),
    message=Message(NoticeKind.RPO_BREACHED, Severity.CRITICAL, 80),
    check=Line(HealthLevel.CRITICAL, "promised are at most 1 h 30 min"),
    events=failures(*ERROR),
)
