"""The log-in of a mail target expired in a time without messages."""

import json

from alerts.notice import Severity
from tests.support.states import BEGIN, Alert, State, well

STATE = State(
    key="monitoring 73",
    title="a credential expired, and there was nothing to report",
    produced="the password of the mail account is changed; the daily check fails, 3 times and then each hour",
    fleet=lambda since: well(BEGIN + since),
    notes=lambda since: json.dumps({"mail": {"success": 3, "failure": min(3, 1 + since // 10) + since // 80}}),
    lasts=300,
    ends=130,
    alerts=(
        Alert("ZsrNotificationsFailing", Severity.WARNING, 40, {"instance": "alpha", "target": "mail"}),
        Alert("ZsrNotificationsFailing", Severity.WARNING, 40, {"instance": "beta", "target": "mail"}),
    ),
    why_silent="the other targets get one (undelivered); a server that takes mail and drops it needs a heartbeat.",
)
