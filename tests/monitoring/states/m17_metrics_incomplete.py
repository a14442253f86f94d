"""A part of the metrics cannot be made."""

from alerts.notice import Severity
from tests.support.states import BEGIN, Alert, State, well

STATE = State(
    key="monitoring 17",
    title="a part of the metrics cannot be made",
    produced="a read error of the disk below state.db, so the counters of messages cannot be read",
    fleet=lambda since: well(BEGIN + since),
    notes=lambda _: OSError("disk I/O error"),
    lasts=30,
    alerts=(Alert("ZsrMetricsIncomplete", Severity.WARNING, 6, {"collector": "notifications", "instance": "alpha"}),
            Alert("ZsrMetricsIncomplete", Severity.WARNING, 6, {"collector": "notifications", "instance": "beta"})),
    why_silent="replication goes on as it should; the daemon's log names the error.",
)  # fmt: skip
