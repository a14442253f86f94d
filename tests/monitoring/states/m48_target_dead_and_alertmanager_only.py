"""A target is dead, and zsr's only way to a person is an ``alertmanager`` target."""

from dataclasses import replace

from alerts.notice import NoticeKind, Severity
from alerts.routing.routes import Route
from tests.monitoring.states import m47_daemon_alert_silenced
from tests.support.states import Message

STATE = replace(
    m47_daemon_alert_silenced.STATE,
    key="monitoring 48",
    title="a target is dead, and zsr's messages go to Alertmanager alone",
    produced="beta is off; [[notify]] has one target with alertmanager =",
    message=Message(NoticeKind.RPO_BREACHED, Severity.CRITICAL, 34),
    route=Route(every_promise=True),
)
"""What Alertmanager makes of the message: tests/monitoring/test_channel_alertmanager.py."""
