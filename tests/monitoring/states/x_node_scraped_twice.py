"""A node is scraped under two names, and a promise breaks."""

from alerts.notice import NoticeKind, Severity
from replicator.daemon.health_check import HealthLevel
from replicator.errors import ErrorClass
from tests.support.state_fleets import failing, failures
from tests.support.states import Alert, Fleet, Line, Message, State, well

ERROR = (ErrorClass.ZFS, "zfs receive failed on beta.")


def _twice(fleet: Fleet) -> Fleet:
    return {**fleet, "10.0.0.1": fleet["alpha"], "10.0.0.2": fleet["beta"]}


def _of(instance: str) -> dict[str, str]:
    return {"instance": instance, "zsr_job": "100-0"}


STATE = State(
    key="invented 3",
    title="the nodes are scraped under two names each, and a promise breaks",
    produced="static_configs with addresses next to http_sd_configs",
    fleet=lambda since: _twice(failing(since, *ERROR)),
    calm=well,
    lasts=60,
    alerts=(
        Alert("ZsrJobFailing", Severity.WARNING, 40, _of("alpha")),
        Alert("ZsrJobFailing", Severity.WARNING, 40, _of("10.0.0.1")),
        Alert("ZsrRpoBreached", Severity.CRITICAL, 40, _of("alpha")),
        Alert("ZsrRpoBreached", Severity.CRITICAL, 40, _of("10.0.0.1")),
    ),
    tolerated=("ZsrRpoAtRisk", "ZsrNodeScrapedTwice"),
    message=Message(NoticeKind.FAILED, Severity.WARNING, 16),
    check=Line(HealthLevel.CRITICAL, "promised are at most 30 min"),
    events=failures(*ERROR),
)
