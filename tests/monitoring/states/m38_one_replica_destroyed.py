"""The replica of one of a guest's two volumes is destroyed between two runs."""

from dataclasses import replace

from alerts.notice import Severity
from replicator.models import KnownSets
from tests.support.states import BEGIN, Alert, Fleet, State, job, source, target


def _with(minute: int, volumes: int) -> Fleet:
    """The fleet whose guest has two volumes, of which the target holds some."""
    weekly = job(BEGIN - 15)
    state = replace(weekly.state, sets=KnownSets(volumes=("local-zfs:vm-100-disk-0", "local-zfs:vm-100-disk-1")))
    beta = target(minute, held=weekly.state.last_sync)
    replicas = (replace(beta.replicas[0], volumes=volumes),)
    sender = source(minute, replace(weekly, state=state, rpo=14 * 86_400.0, next_run=6 * 86_400.0))
    return {"alpha": sender, "beta": replace(beta, replicas=replicas)}


STATE = State(
    key="monitoring 38",
    title="the replica of one of a guest's two volumes is destroyed between two runs",
    produced="zfs destroy -r of one replica on the target; the schedule is weekly",
    fleet=lambda since: _with(BEGIN + since, 1),
    calm=lambda minute: _with(minute, 2),
    lasts=60,
    alerts=(Alert("ZsrReplicaIncomplete", Severity.CRITICAL, 17, {"zsr_job": "100-0", "target": "beta"}),),
    why_silent="the source learns of it at its next run; until then only the target's own look knows it.",
)
