"""Diverged volumes have been kept aside for a week, and nobody decided about them."""

from dataclasses import replace

from alerts.notice import Severity
from replicator.api.held import AsideKind, KeptAside
from tests.support.states import BEGIN, Alert, Fleet, State, moment, source, target
from tests.support.statuses import DAY


def _fleet(since: int) -> Fleet:
    """The fleet on the eighth day: before it begins the volumes were not there, so that one story is short."""
    kept = KeptAside(100, AsideKind.DIVERGED, 1, moment(BEGIN) - 7 * DAY, 3 << 30)
    beta = replace(target(BEGIN + since), diverged={100: 1}, asides=(kept,))
    return {"alpha": source(BEGIN + since), "beta": beta}


STATE = State(
    key="asides 1",
    title="replicas have been kept aside for a week, and nobody has decided about them",
    produced="a replica is written to, the next run sets it aside; a week goes by",
    fleet=_fleet,
    lasts=120,
    alerts=(
        Alert("ZsrAsidesForgotten", Severity.WARNING, 63, {"guest": "100", "instance": "beta"}),
        Alert("ZsrDivergedVolumes", Severity.WARNING, 17, {"guest": "100", "instance": "beta"}),
    ),
    why_silent="nothing is lost and the promise holds; `zsr diverged list` shows it.",
)
