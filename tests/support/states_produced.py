"""In which ways each state of `tests.monitoring.states` is produced by tests. All of them are played to promtool."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

from tests.support.real_states_made import MADE
from tests.support.states import State


class Way(StrEnum):
    """PROMTOOL: a story of facts, evaluated with the rules. DAEMON: a real daemon in the test's process, whose runs are
    played. NODES: real nodes on one machine, with real ZFS, sshd, Prometheus and Alertmanager. LAB: real nodes of the
    lab, as far as a page that arrives. OUTSIDE: nothing of zsr can see it.
    """

    PROMTOOL = "promtool"
    DAEMON = "a daemon"
    NODES = "real nodes"
    LAB = "the lab"
    OUTSIDE = "not by zsr"


BY_A_DAEMON = frozenset(f"monitoring {row}" for row in (18, 19, 21, 22, 26, 41, 46, 56, 72))
"""The states of tests/unit/replicator/daemon/test_states_for_real.py, which it compares with this."""
IN_THE_LAB: Mapping[str, str] = {
    "monitoring 1": "test_a_killed_daemon_pages_though_it_cannot_say_so_itself",
    "monitoring 47": "test_a_dead_target_pages_when_the_promise_breaks_and_is_over_when_it_is_back",
}
"""The tests of tests/lab/test_drill.py that bring a state about."""
ON_REAL_NODES = frozenset(made.state.key for made in MADE)


def ways(state: State) -> tuple[Way, ...]:
    """The ways in which a state is produced."""
    if state.outside:
        return (Way.OUTSIDE,)
    real = ((BY_A_DAEMON, Way.DAEMON), (ON_REAL_NODES, Way.NODES), (IN_THE_LAB, Way.LAB))
    return (Way.PROMTOOL, *(way for keys, way in real if state.key in keys))


def counted(states: Sequence[State]) -> str:
    """How many states are produced in which way, in one sentence for a page."""
    each = [ways(state) for state in states]
    played = sum(Way.PROMTOOL in found for found in each)
    real = sum(len(found) > 1 for found in each)
    by = {way: sum(way in found for found in each) for way in Way}
    return (
        f"{len(states)} states. {by[Way.OUTSIDE]} only a watcher outside can see. The other {played} are played to "
        f"promtool; {real} of these are also produced for real: {by[Way.NODES]} by real nodes on one machine, "
        f"{by[Way.DAEMON]} by a daemon whose runs are played, {by[Way.LAB]} in the lab."
    )
