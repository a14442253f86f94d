"""No message of zsr itself arrives any more."""

import json

from alerts.notice import Severity
from tests.support.states import BEGIN, Alert, State, well

STATE = State(
    key="monitoring 71",
    title="no message of zsr itself arrives",
    produced="the mail server refuses all that zsr sends",
    fleet=lambda since: well(BEGIN + since),
    notes=lambda since: json.dumps({"mail": {"success": 3, "failure": 1 + since // 5, "undelivered": 0}}),
    lasts=60,
    ends=130,
    alerts=(
        Alert("ZsrNotificationsFailing", Severity.WARNING, 25, {"instance": "alpha", "target": "mail"}),
        Alert("ZsrNotificationsFailing", Severity.WARNING, 25, {"instance": "beta", "target": "mail"}),
    ),
    why_silent="a message about it does not arrive either; other targets get one of their own.",
)
