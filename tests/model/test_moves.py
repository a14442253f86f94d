"""The protocol by which guests move keeps its laws in every state of the model, and needs each of its rules."""

from __future__ import annotations

import pytest

from tests.model.explore import explore
from tests.model.rules import ALL, Rule
from tests.model.scenes import SCENES, shows
from tests.model.steps import STEP_NAMES


@pytest.mark.parametrize("rule", Rule, ids=lambda rule: rule.name)
def test_a_law_is_broken_without_the_rule(rule: Rule) -> None:
    explored = explore(shows(rule), ALL - {rule})
    assert explored.violation is not None, f"nobody needs: {rule.value}"


def test_every_law_holds_and_every_step_is_taken() -> None:
    taken: set[tuple[str, str]] = set()
    for name, world in SCENES.items():
        explored = explore(world, ALL)
        assert explored.violation is None, f"{name}: {explored.violation}"
        assert explored.states > 100
        taken |= explored.tasks
    assert taken == STEP_NAMES
