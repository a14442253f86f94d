"""The settings of a node have no notification target."""

from tests.support.states import State

STATE = State(
    key="invented 10",
    title="zsr itself has no channel: no [[notify]] is set, or all are switched off",
    produced="a template of zsr.toml without [[notify]]; enabled = false before an upgrade",
    outside="It may be meant where Alertmanager does it all, so it is a note of zsr config check and no alert. "
    "A person who expects a heartbeat or a ping from each node notices the silence.",
)
