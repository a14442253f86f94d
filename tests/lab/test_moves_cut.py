"""A move during which a node loses its power, or the nodes lose each other, is finished by the same command.

No write that had reached a disk is lost, and the guest never runs twice.
"""

from __future__ import annotations

import pytest

from tests.lab.lab import Lab, Node, NodeProcess
from tests.lab.moving import Moving, loses_power
from tests.lab.moving_steps import GIVING, MOVE, TAKING, WHEN, Step, dies, stands_still
from tests.lab.node_files import FILES

pytestmark = pytest.mark.sampled(32)

_SECONDS = 300.0


@pytest.fixture
def guest(lab: Lab, node1: Node, node2: Node) -> Moving:
    guest = Moving(lab, node1, node2)
    guest.begin()
    for node in (node1, node2):
        settings = node.read(FILES[0]).replace('connect_timeout = "20s"', 'connect_timeout = "5s"')
        node.write(FILES[0], settings)
    return guest


def boots_again(node: Node) -> None:
    """Cut a node's power and boot it; as at each boot of a host, a guest that is settled there is started."""
    loses_power(node)
    text = node.read(FILES[1])
    if f'node = "{node.name}"' in text and "moving_to" not in text:
        node.run("/usr/local/bin/guest-100 start")


def order(guest: Moving) -> list[str]:
    """The command that moves the guest."""
    return ["guest", "move", "100", guest.target.name, "--yes"]


def goes_on(guest: Moving, command: NodeProcess) -> None:
    """Let the command that stands still go on to its end, and check that the guest runs once at most."""
    guest.source.run("touch /run/go")
    command.wait(_SECONDS)
    for node in (guest.source, guest.target):
        node.restore_network()
    assert len(guest.runs_on()) <= 1


def finish(guest: Moving) -> None:
    """Type the command again, and check that the guest has moved."""
    guest.source.zsr(*order(guest), timeout=_SECONDS)
    guest.has_moved()


@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("step", GIVING, ids=str)
def test_the_old_node_loses_its_power(step: Step, when: str, guest: Moving) -> None:
    stands_still(guest.source, when, step, *order(guest))

    boots_again(guest.source)

    assert len(guest.runs_on()) <= 1
    finish(guest)


@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("step", GIVING, ids=str)
def test_the_new_node_loses_its_power(step: Step, when: str, guest: Moving) -> None:
    command = stands_still(guest.source, when, step, *order(guest))

    boots_again(guest.target)
    goes_on(guest, command)

    finish(guest)


@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("step", GIVING, ids=str)
def test_the_nodes_lose_each_other(step: Step, when: str, guest: Moving) -> None:
    command = stands_still(guest.source, when, step, *order(guest))

    guest.source.cut_from(guest.target)
    goes_on(guest, command)

    finish(guest)


@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("step", TAKING, ids=str)
def test_the_new_node_loses_its_power_while_it_takes_the_guest(step: Step, when: str, guest: Moving) -> None:
    dies(guest.source, "before", Step("move", "done", f"{MOVE}:_Move._take"), *order(guest))
    stands_still(guest.target, when, step, "guest", "take", "100")

    boots_again(guest.target)

    assert set(guest.runs_on()) <= {guest.target.name}
    finish(guest)
