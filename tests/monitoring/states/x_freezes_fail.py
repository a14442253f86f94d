"""The freeze hook of a guest fails in each run."""

from dataclasses import replace

from alerts.notice import Severity
from replicator.models import Hook
from tests.support.states import BEGIN, Alert, Fleet, State, source, target


def _fleet(since: int) -> Fleet:
    failed = 1 + since // 15
    alpha = replace(
        source(BEGIN + since),
        hook_failures={100: {Hook.FREEZE: failed, Hook.THAW: 0}},
        failed_freezes={100: min(failed, 5)},
    )
    return {"alpha": alpha, "beta": target(BEGIN + since)}


STATE = State(
    key="monitoring 75, freeze",
    title="the freeze hook of a guest fails in each run",
    produced='freeze = "false"',
    fleet=_fleet,
    lasts=120,
    alerts=(Alert("ZsrFreezeFailing", Severity.WARNING, 34, {"guest": "100", "instance": "alpha"}),),
    why_silent="each copy is made in time, as of a power cut; nobody has to act before working hours.",
)
