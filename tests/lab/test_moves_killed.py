"""A move that is killed at any of its steps is finished, or given up, by the next command.

No write is lost, and the guest never runs twice.

The steps are those of the model of the protocol (`tests.model`), each with the function that does it.
"""

from __future__ import annotations

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.moving import Moving
from tests.lab.moving_steps import COMMITTED, GIVING, GIVING_UP, MOVE, TAKING, WHEN, Step, dies
from tests.model.steps import STEP_NAMES

pytestmark = pytest.mark.sampled(15)


def test_every_step_is_one_of_the_model() -> None:
    assert {(each.task, each.name) for each in (*GIVING, *TAKING, *GIVING_UP)} <= STEP_NAMES


@pytest.fixture
def guest(lab: Lab, node1: Node, node2: Node) -> Moving:
    guest = Moving(lab, node1, node2)
    guest.begin()
    return guest


@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("step", GIVING, ids=str)
def test_the_same_command_finishes_what_died_on_the_old_node(step: Step, when: str, guest: Moving) -> None:
    old, new = guest.source, guest.target

    dies(old, when, step, "guest", "move", "100", new.name, "--yes")

    assert len(guest.runs_on()) <= 1
    old.zsr("guest", "move", "100", new.name, "--yes")
    guest.has_moved()


@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("step", GIVING[:COMMITTED], ids=str)
def test_what_died_before_the_hand_over_may_be_given_up(step: Step, when: str, guest: Moving) -> None:
    old, new = guest.source, guest.target
    dies(old, when, step, "guest", "move", "100", new.name, "--yes")

    old.zsr("guest", "move", "100", new.name, "--cancel")

    assert guest.runs_on() == [old.name]
    numbers = guest.numbers(old)
    assert numbers == list(range(1, len(numbers) + 1))
    guest.well(within=2)
    assert "moving_to" not in old.read("/etc/zsr/cluster.toml")


@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("step", GIVING_UP, ids=str)
def test_what_died_while_it_was_given_up_is_given_up_by_the_same_command(step: Step, when: str, guest: Moving) -> None:
    old, new = guest.source, guest.target
    dies(old, "after", GIVING[COMMITTED - 1], "guest", "move", "100", new.name, "--yes")
    dies(old, when, step, "guest", "move", "100", new.name, "--cancel")

    old.zsr("guest", "move", "100", new.name, "--cancel")

    assert guest.runs_on() == [old.name]
    guest.well(within=2)
    old.zsr("guest", "move", "100", new.name, "--yes")
    guest.has_moved()


@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("step", TAKING, ids=str)
def test_the_same_command_finishes_what_died_on_the_new_node(step: Step, when: str, guest: Moving) -> None:
    old, new = guest.source, guest.target
    dies(old, "before", Step("move", "done", f"{MOVE}:_Move._take"), "guest", "move", "100", new.name, "--yes")
    assert guest.runs_on() == []

    dies(new, when, step, "guest", "take", "100")

    assert set(guest.runs_on()) <= {new.name}
    old.zsr("guest", "move", "100", new.name, "--yes")
    guest.has_moved()
