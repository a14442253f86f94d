"""Prometheus or Alertmanager is down."""

from tests.support.states import State

STATE = State(
    key="monitoring 15",
    title="Prometheus or Alertmanager is down",
    produced="systemctl stop prometheus, or alertmanager",
    outside=(
        "A service outside expects the messages of ZsrWatchdog, an alert that always fires, and alarms when they stop: "
        "docs/monitoring.md, 'When Prometheus or Alertmanager is down'. zsr's own [[notify]] and pings go on without "
        "Prometheus."
    ),
)
