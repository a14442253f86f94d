"""A notification target is left out, because its settings became wrong."""

import json

from alerts.notice import Severity
from tests.support.states import BEGIN, Alert, State, well

STATE = State(
    key="monitoring 72: target",
    title="a notification target is left out at the start",
    produced="the file with the target's URL is gone when the daemon starts",
    fleet=lambda since: well(BEGIN + since),
    usable=json.dumps({"mail": True, "phone": False}),
    alerts=(
        Alert("ZsrNotificationTargetUnusable", Severity.WARNING, 15, {"instance": "alpha", "target": "phone"}),
        Alert("ZsrNotificationTargetUnusable", Severity.WARNING, 15, {"instance": "beta", "target": "phone"}),
    ),
    why_silent="it is the target that is left out; the log and zsr config check name it.",
)
