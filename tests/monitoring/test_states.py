"""Every state in which a promise is broken or the monitoring is blind is reported, in time and as severely as it is."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from replicator.daemon.health_check import HealthLevel
from tests.monitoring import states as package
from tests.monitoring.states import x_node_disabled
from tests.support.prometheus import binary
from tests.support.state_messages import check_lines, messages
from tests.support.state_stories import story_file
from tests.support.states import BEGIN, State, states, well

STATES = states(package)
TIMEOUT = 120
"""Seconds for the story of one state."""

with_each = pytest.mark.parametrize("state", STATES, ids=lambda state: state.key.replace(" ", "-"))


@with_each
def test_has_a_verdict(state: State) -> None:
    reported = bool(state.alerts)
    assert reported != bool(state.outside), "an alert reports it, or it says what an outside watcher must do"
    assert state.message or state.why_silent or state.outside
    assert state.title
    assert state.produced


def test_no_two_states_are_the_same_row() -> None:
    keys = [state.key for state in STATES]
    assert len(keys) == len(set(keys))


@pytest.mark.prometheus
@pytest.mark.sampled(8)
@with_each
def test_is_reported_by_the_rules_and_ends(state: State, tmp_path: Path) -> None:
    if not state.alerts:
        return
    story = tmp_path / "story.json"
    story.write_text(story_file(state))
    done = subprocess.run(
        [binary("promtool"), "test", "rules", story], capture_output=True, text=True, check=False, timeout=TIMEOUT
    )
    assert done.returncode == 0, done.stdout + done.stderr


@with_each
def test_is_reported_by_a_message(state: State) -> None:
    wanted = state.message
    if wanted is None:
        return
    found = list(messages(state, wanted.node))
    assert [notice for since, notice in found if since < 0] == []
    first = next((s for s, n in found if (n.kind, n.severity) == (wanted.kind, wanted.severity)), None)
    assert first is not None, [(since, notice.kind, notice.severity) for since, notice in found]
    assert first <= wanted.within


@with_each
def test_is_reported_by_zsr_check(state: State) -> None:
    if state.check is None:
        return
    since = max((alert.within for alert in state.alerts), default=state.lasts - 1)
    lines = [each.text for each in check_lines(state, state.check.node, since) if each.level is state.check.level]
    assert any(state.check.words in line for line in lines), lines


def test_a_fleet_that_is_well_has_nothing_to_report() -> None:
    calm = State("none", "all is well", "nothing", lambda since: well(BEGIN + since))
    for node in ("alpha", "beta"):
        assert list(messages(calm, node)) == []
        assert [each for each in check_lines(calm, node, 10) if each.level is not HealthLevel.OK] == []


def test_the_maintenance_of_a_node_sends_no_message() -> None:
    assert list(messages(x_node_disabled.STATE, "alpha")) == []
