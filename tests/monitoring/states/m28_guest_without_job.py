"""A guest of the node has no job."""

from dataclasses import replace

from alerts.notice import Severity
from replicator.api.coverage import GuestCoverage
from tests.support.states import BEGIN, Alert, Fleet, State, source, target


def _fleet(since: int) -> Fleet:
    minute = BEGIN + since
    alpha = source(minute)
    return {
        "alpha": replace(alpha, coverage={**alpha.coverage, 105: GuestCoverage("new", ())}),
        "beta": target(minute),
    }


STATE = State(
    key="monitoring 28",
    title="a guest of the node has no job",
    produced="a new guest in the cluster file, and no zsr create-local-job",
    fleet=_fleet,
    lasts=1500,
    alerts=(Alert("ZsrGuestWithoutJob", Severity.INFO, 1446, {"instance": "alpha"}),),
    why_silent="the digest names it; whether the guest is to have a copy is not known.",
    step=3,
)
