"""A node was cloned: two daemons run its jobs."""

from dataclasses import replace

from alerts.notice import Severity
from tests.support.states import BEGIN, Alert, Fleet, State, well


def _fleet(since: int) -> Fleet:
    minute = BEGIN + since
    fleet = well(minute)
    alpha = fleet["alpha"]
    return {**fleet, "clone": alpha and replace(alpha, view=replace(alpha.view, boot="boot-of-the-clone"))}


STATE = State(
    key="invented 1",
    title="a node was cloned with its settings, and both daemons run its jobs",
    produced="a clone of alpha's machine that starts, with another address",
    fleet=_fleet,
    alerts=(
        Alert("ZsrNodeNameTwice", Severity.CRITICAL, 40, {"node": "alpha"}),
        Alert("ZsrNodeScrapedTwice", Severity.WARNING, 40, {"node": "alpha"}),
    ),
    why_silent="neither daemon knows of the other; what one of them proves is gone for the other, so messages follow.",
)
