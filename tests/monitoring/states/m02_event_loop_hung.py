"""The event loop hangs, and the exporter with it."""

from alerts.notice import Severity
from tests.support.states import BEGIN, Alert, State, target

STATE = State(
    key="monitoring 2",
    title="the event loop hangs, and the exporter with it",
    produced="a plugin that blocks the event loop",
    fleet=lambda since: {"alpha": None, "beta": target(BEGIN + since, held=BEGIN * 60.0)},
    lasts=15,
    alerts=(Alert("ZsrDaemonDown", Severity.CRITICAL, 6, {"instance": "alpha"}),),
    why_silent="what hangs reports nothing; `zsr check` says CRITICAL since the daemon does not answer.",
)
