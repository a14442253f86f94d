"""A new guest has volumes on the node, and nobody wrote it into the cluster file."""

from dataclasses import replace

from alerts.notice import Severity
from tests.support.states import BEGIN, Alert, Fleet, State, well


def _fleet(minute: int, unknown: tuple[int, ...]) -> Fleet:
    return {node: status and replace(status, unknown_guests=unknown) for node, status in well(minute).items()}


STATE = State(
    key="invented 7",
    title="a new guest is on the node, and not in the cluster file",
    produced="a new VM 250 in Proxmox VE, and no [guests.250]",
    fleet=lambda since: {**_fleet(BEGIN + since, ()), "alpha": _fleet(BEGIN + since, (250,))["alpha"]},
    calm=lambda minute: _fleet(minute, ()),
    lasts=1500,
    alerts=(Alert("ZsrGuestUnknown", Severity.INFO, 1446, {"instance": "alpha"}),),
    why_silent="whether the guest is to have a copy is not known; zsr coverage names it.",
    step=3,
)
