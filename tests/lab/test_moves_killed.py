"""A move that is killed at any of its steps is finished, or given up, by the next command.

No write is lost, and the guest never runs twice.

The steps are those of the model of the protocol (`tests.model`), each with the function that does it.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.moving import Moving
from tests.lab.scenario import A
from tests.model.steps import STEP_NAMES

pytestmark = pytest.mark.sampled(9)


@dataclass(frozen=True)
class Step:
    """A step of the model, the function that does it, and which of its calls does."""

    task: str
    name: str
    function: str
    call: int = 1

    def __str__(self) -> str:
        return f"{self.task}: {self.name} ({self.function.rpartition('.')[2]})"


STORE, MOVE = "replicator.cluster.store:ClusterStore", "replicator.cli.guest_move"
GIVING = [
    Step("move", "announce", f"{STORE}.announce_move"),
    Step("move", "announce", "replicator.cli.cluster_copies:Copies.write", 2),
    Step("move", "stop", "replicator.guests.power:stop"),
    Step("move", "snapshot", f"{MOVE}:_Move._sync", 2),
    Step("move", "read-only", f"{MOVE}:make_read_only"),
    Step("move", "hand over", "replicator.cli.cluster_copies:Copies.write", 3),
    Step("move", "hand over", f"{STORE}.hand_over", 2),
    Step("release", "read-only", "replicator.guests.release:make_read_only"),
    Step("release", "stamp", "replicator.zfs.client:ZfsClient.set_properties", 3),
]
TAKING = [
    Step("take", "stamp", "replicator.zfs.client:ZfsClient.stamp"),
    Step("take", "end receives", "replicator.zfs.client:ZfsClient.end_stale_receives"),
    Step("take", "fork", "replicator.zfs.client:ZfsClient.snapshot"),
    Step("take", "writable", "replicator.guests.recovery:activate"),
    Step("take", "settle", "replicator.guests.power:start"),
]
GIVING_UP = [
    Step("give up", "settle", "replicator.cli.cluster_copies:Copies.write"),
    Step("give up", "settle", f"{STORE}.announce_move", 2),
    Step("reopen", "writable", f"{MOVE}:make_writable"),
    Step("reopen", "done", "replicator.guests.power:start_again"),
]
COMMITTED = 5
"""From this one on of `GIVING`, after it, the guest belongs to the other node."""
WHEN = ("before", "after")


def test_every_step_is_one_of_the_model() -> None:
    assert {(each.task, each.name) for each in (*GIVING, *TAKING, *GIVING_UP)} <= STEP_NAMES


@pytest.fixture
def guest(lab: Lab, node1: Node, node2: Node) -> Moving:
    guest = Moving(lab, node1, node2)
    guest.begin()
    return guest


def dies(node: Node, when: str, step: Step, *arguments: str) -> None:
    """Let a command of zsr on a node die at a step."""
    program = f"cd /opt/zsr && PYTHONPATH=/opt/zsr:/lab/site exec python3 -m tests.lab.die_at {when} {step.function}"
    done = node.run(f"({program} {step.call} {' '.join(arguments)}); echo status $?", check=False)
    assert "status 137" in done.stdout, done.stdout + done.stderr


def moved(guest: Moving) -> None:
    """The guest runs on the other node alone, with all that it wrote, and its job replicates back."""
    old, new = guest.source, guest.target
    assert guest.runs_on() == [new.name]
    numbers = guest.numbers(new)
    assert numbers == list(range(1, len(numbers) + 1))
    guest.turn()
    new.run(f"echo more | dd of=/dev/zvol/tank/data/{A} conv=notrunc,sync status=none")
    guest.well(within=2)
    assert ": full" not in guest.log()
    assert guest.aside() == []
    assert old.out("zfs get -Ho value readonly tank/data/" + A) == "on"


@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("step", GIVING, ids=str)
def test_the_same_command_finishes_what_died_on_the_old_node(step: Step, when: str, guest: Moving) -> None:
    old, new = guest.source, guest.target

    dies(old, when, step, "guest", "move", "100", new.name, "--yes")

    assert len(guest.runs_on()) <= 1
    old.zsr("guest", "move", "100", new.name, "--yes")
    moved(guest)


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
    moved(guest)


@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("step", TAKING, ids=str)
def test_the_same_command_finishes_what_died_on_the_new_node(step: Step, when: str, guest: Moving) -> None:
    old, new = guest.source, guest.target
    dies(old, "before", Step("move", "done", f"{MOVE}:_Move._take"), "guest", "move", "100", new.name, "--yes")
    assert guest.runs_on() == []

    dies(new, when, step, "guest", "take", "100")

    assert set(guest.runs_on()) <= {new.name}
    old.zsr("guest", "move", "100", new.name, "--yes")
    moved(guest)
