"""The replica on a target that runs no zsr is destroyed between two runs of a weekly job."""

from dataclasses import replace

from alerts.notice import Severity
from replicator.api.held import TargetLook
from tests.support.state_fleets import TANK, without_zsr
from tests.support.states import BEGIN, Alert, Fleet, State, job, moment
from tests.support.statuses import DAY


def _fleet(since: int) -> Fleet:
    before = job(BEGIN)
    weekly = replace(
        before, job=replace(before.job, schedule="sat 02:00"), next_run=moment(BEGIN) + 7 * DAY, rpo=14 * DAY
    )
    return without_zsr(BEGIN + since, weekly, look=TargetLook((), {100: 0}, (TANK,)))


STATE = State(
    key="replica lost on a target without zsr",
    title="the replica on a target that runs no zsr is destroyed between two runs of a weekly job",
    produced="zsr = false at nodes.beta; zfs destroy -r of the replica there, six days before the next run",
    fleet=_fleet,
    lasts=120,
    alerts=(Alert("ZsrReplicaStale", Severity.CRITICAL, 17, {"zsr_job": "100-0", "target": "beta"}),),
    why_silent="zsr's messages are about runs: the next one finds it and reports replica-lost.",
    calm=without_zsr,
)
