"""The certificate of an exporter ends in 13 days, and was not renewed."""

from dataclasses import replace

from alerts.notice import Severity
from replicator.api.certificate import Certificate
from replicator.daemon.health_check import HealthLevel
from tests.support.states import BEGIN, Alert, Fleet, Line, State, moment, well
from tests.support.statuses import DAY

FILE = "/etc/zsr/node.crt"


def with_certificate(minute: int, end: float) -> Fleet:
    """The fleet, with a certificate of a year that alpha presents."""
    found = well(minute)
    alpha = found["alpha"]
    return {**found, "alpha": alpha and replace(alpha, certificates=(Certificate(FILE, end - 365 * DAY, end),))}


STATE = State(
    key="invented 21",
    title="the certificate of an exporter ends soon",
    produced="the timer that renews the certificate fails",
    fleet=lambda since: with_certificate(BEGIN + since, moment(BEGIN) + 13 * DAY),
    calm=lambda minute: with_certificate(minute, moment(BEGIN) + 90 * DAY),
    alerts=(Alert("ZsrCertificateExpiring", Severity.WARNING, 5, {"instance": "alpha", "file": FILE}),),
    check=Line(HealthLevel.WARNING, "the certificate /etc/zsr/node.crt of the exporter ends in"),
    why_silent="zsr's own messages do not need it, and two weeks before its end nobody has to act at once.",
)
