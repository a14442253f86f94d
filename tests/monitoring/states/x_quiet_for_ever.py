"""The quiet hours of a notification target never end."""

from tests.support.states import State

STATE = State(
    key="invented 12",
    title="the quiet hours of a target cover the whole week, so what they hold is a week late",
    produced='quiet = "00:00-24:00" for a holiday',
    outside="zsr config check has a note of it. Who expects a heartbeat or a ping from each node notices it; "
    "the rules of Prometheus do not depend on it.",
)
