"""The table of docs/states.md: what reports each state in which a promise is broken or the monitoring is blind.

It is made of `tests.monitoring.states`, which show each row with the real exporter, rules, messages and ``zsr check``.
"""

from __future__ import annotations

import re

from tests.monitoring import states as package
from tests.support.states import Alert, Line, Message, State, states
from tests.support.states_produced import counted, ways

HEAD = "| state | what brings it about | alert | zsr's own message | `zsr check` | produced by |\n" + 6 * "|---" + "|\n"


def states_table() -> str:
    """How many states there are, and all of them as one Markdown table, in the order of their keys."""
    found = sorted(states(package), key=_order)
    return f"{counted(found)}\n\n{HEAD}" + "".join(_row(state) for state in found)


def _order(state: State) -> tuple[str, int, str]:
    """By table and row; those of no table come last."""
    match = re.fullmatch(r"(monitoring|states) (\d+)(.*)", state.key)
    return (match[1], int(match[2]), match[3]) if match else ("without a table", 0, state.title)


def _row(state: State) -> str:
    if state.outside:
        cells = [state.title, state.produced, f"outside: {state.outside}", "-", "-", "-"]
    else:
        alerts = "; ".join(_alert(alert) for alert in state.alerts)
        message = _message(state.message, state.why_silent)
        cells = [state.title, state.produced, alerts, message, _line(state.check), ", ".join(ways(state))]
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n"


def _alert(alert: Alert) -> str:
    return f"[{alert.name}](../alerts/runbooks/{alert.name}.md) {alert.severity}, {_within(alert.within)}"


def _message(message: Message | None, why_silent: str) -> str:
    if message is None:
        return f"none: {why_silent}" if why_silent else "-"
    return f"`{message.kind}` {message.severity}, {_within(message.within)}"


def _line(line: Line | None) -> str:
    return "-" if line is None else f"{line.level.name}: ... {line.words} ..."


def _within(minutes: int) -> str:
    """Minutes in words, as a reader wants them."""
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes / 60:.0f} h" if minutes < 48 * 60 else f"{minutes / 1440:.0f} d"
