"""The source dies between two volumes of a run, so that the guest's disks on the target are of different moments."""

from dataclasses import replace

from alerts.notice import Severity
from tests.support.states import BEGIN, Alert, Fleet, State, moment, target


def _fleet(since: int) -> Fleet:
    beta = target(BEGIN + since, held=moment(BEGIN - 15))
    return {"alpha": None, "beta": replace(beta, replicas=(replace(beta.replicas[0], ahead=True),))}


STATE = State(
    key="states 17",
    title="the source dies between two volumes of a run",
    produced="the source's power is cut while a run is between two volumes",
    fleet=_fleet,
    lasts=15,
    alerts=(Alert("ZsrDaemonDown", Severity.CRITICAL, 6, {"instance": "alpha", "node": "alpha"}),),
    why_silent=(
        "the source's zsr is dead. The page says of how many guests the disks differ, and `zsr restore-points` on the "
        "target which set is whole, and how the guest goes on from it."
    ),
)
