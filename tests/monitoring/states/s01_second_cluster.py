"""A promise breaks in a cluster, and a second cluster has the same names of nodes, guests and jobs."""

from alerts.notice import NoticeKind, Severity
from replicator.daemon.health_check import HealthLevel
from replicator.errors import ErrorClass
from tests.support.state_fleets import failing, failures
from tests.support.states import BEGIN, Alert, Fleet, Line, Message, State, well

ERROR = (ErrorClass.ZFS, "zfs receive failed on beta.")
VIENNA = {"cluster": "vienna", "instance": "alpha", "zsr_job": "100-0"}


def _of(cluster: str, fleet: Fleet) -> Fleet:
    return {f"{cluster}/{node}": status for node, status in fleet.items()}


STATE = State(
    key="states 1",
    title="a promise breaks in one of two clusters that have the same names",
    produced="two clusters with the nodes alpha and beta, the guest 100 and the job 100-0 in one Prometheus",
    fleet=lambda since: {**_of("vienna", failing(since, *ERROR)), **_of("graz", well(BEGIN + since))},
    calm=lambda minute: {**_of("vienna", well(minute)), **_of("graz", well(minute))},
    lasts=60,
    alerts=(
        Alert("ZsrJobFailing", Severity.WARNING, 20, VIENNA),
        Alert("ZsrRpoBreached", Severity.CRITICAL, 20, VIENNA),
    ),
    tolerated=("ZsrRpoAtRisk",),
    message=Message(NoticeKind.FAILED, Severity.WARNING, 16, node="vienna/alpha"),
    check=Line(HealthLevel.CRITICAL, "promised are at most 30 min", node="vienna/alpha"),
    events={minute: tuple(("vienna/alpha", event) for _, event in found) for minute, found in failures(*ERROR).items()},
)
