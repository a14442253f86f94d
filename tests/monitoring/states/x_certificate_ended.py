"""The certificate of an exporter ends, and whatever scrapes it does not verify it, or refuses it later."""

from alerts.notice import Severity
from replicator.daemon.health_check import HealthLevel
from tests.monitoring.states.x_certificate_expiring import FILE, with_certificate
from tests.support.states import BEGIN, HOUR, Alert, Line, State, moment
from tests.support.statuses import DAY

_LABELS = {"instance": "alpha", "file": FILE}

STATE = State(
    key="invented 30",
    title="the certificate of an exporter has ended",
    produced="nobody renews the certificate; an hour later it has ended",
    fleet=lambda since: with_certificate(BEGIN + since, moment(BEGIN) + HOUR),
    calm=lambda minute: with_certificate(minute, moment(BEGIN) + 90 * DAY),
    alerts=(
        Alert("ZsrCertificateExpiring", Severity.WARNING, 65, _LABELS),
        Alert("ZsrCertificateLastDays", Severity.CRITICAL, 65, _LABELS),
    ),
    check=Line(HealthLevel.CRITICAL, "the certificate /etc/zsr/node.crt of the exporter ended"),
    why_silent="zsr's own messages do not need it; a scraper that refuses it makes it ZsrDaemonDown too.",
)
