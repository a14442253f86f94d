"""Diverged data on a target that runs no zsr waits for a decision, and nobody looks at it."""

from alerts.notice import Severity
from replicator.api.held import HeldReplica, TargetLook
from tests.support.state_fleets import TANK, without_zsr
from tests.support.states import BEGIN, Alert, Fleet, State, moment, slot


def _fleet(since: int) -> Fleet:
    minute = BEGIN + since
    held = HeldReplica(100, "alpha", "local-zfs", slot(moment(minute)))
    return without_zsr(minute, look=TargetLook((held,), {100: 1}, (TANK,)))


STATE = State(
    key="monitoring 45",
    title="diverged data on a target that runs no zsr is never looked at",
    produced="zsr = false at nodes.beta; a write to the replica there, a run, and half a day without zsr diverged",
    fleet=_fleet,
    lasts=750,
    alerts=(Alert("ZsrDivergedVolumes", Severity.WARNING, 720, {"guest": "100", "node": "beta", "instance": "alpha"}),),
    why_silent="nothing is lost and the promise holds; Alertmanager repeats the warning as long as it fires.",
    calm=without_zsr,
    step=3,
)
