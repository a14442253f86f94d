"""All alerts of zsr are silenced in Alertmanager for a year."""

from tests.support.states import State

STATE = State(
    key="invented 20",
    title="a silence in Alertmanager for all alerts of zsr was forgotten",
    produced="amtool silence add job=zsr --duration=365d --comment=upgrade",
    outside="zsr does not see Alertmanager's silences; its own messages go on to other targets. Let Prometheus scrape "
    "Alertmanager and watch alertmanager_silences{state='active'}; and look at amtool silence query each week.",
)
