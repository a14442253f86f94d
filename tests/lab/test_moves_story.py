"""Three nodes: a guest moves, its new node loses its power, the third one goes on, and the dead one comes back."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.moving import Moving
from tests.lab.node_files import FILES, kept_files, put_back
from tests.lab.scenario import FS, A

pytestmark = pytest.mark.sampled(9)


@pytest.fixture
def node3(two_nodes: Lab) -> Iterator[Node]:
    """A third machine as if never used, for this test only."""
    two_nodes.up(3)
    node = two_nodes.nodes[2]
    node.fresh()
    yield node
    two_nodes.control("stop", "3")
    two_nodes.nodes = two_nodes.nodes[:2]


@pytest.fixture
def guest(lab: Lab, node1: Node, node2: Node, node3: Node) -> Moving:
    """A running guest with jobs to two other nodes, and the same cluster file on all."""
    guest = Moving(lab, node1, node2)
    node3.run("zfs create tank/data")
    guest.cluster("[storages.tank]", '[nodes.node3]\naddress = "node3"\n[storages.tank]')
    guest.begin()
    guest.zsr("create-local-job", "100-1", "node3", "--keep", "10")
    guest.zsr("run", "--id", "100-1")
    node3.write(FILES[0], node1.read(FILES[0]).replace('node = "node1"', 'node = "node3"'))
    node1.zsr("cluster", "push", "--yes", "--force")
    return guest


def test_a_guest_that_moved_and_was_recovered_and_whose_node_came_back_lost_what_was_said_and_no_more(
    guest: Moving, node3: Node
) -> None:
    node1, node2 = guest.source, guest.target
    node3.write("/usr/local/bin/guest-100", node1.read("/usr/local/bin/guest-100"))
    node3.run("chmod 755 /usr/local/bin/guest-100")

    node1.zsr("guest", "move", "100", "node2", "--yes")
    for job in ("100-0", "100-1"):  # it replicates back, and on to the third node
        node2.zsr("run", "--id", job)
        assert ": full" not in node2.zsr("log", job).stdout
    assert diverged(node1) == diverged(node3) == []
    promised = len(guest.numbers(node2))
    node2.run(f"until [ $(wc -l </tank/data/{FS}/numbers) -gt {promised + 20} ]; do sleep 0.1; done; zpool sync")
    kept = kept_files(node2)
    node2.crash()

    replicas = json.loads(node3.zsr("guest", "replicas", "100", "--format", "json", check=False).stdout)["replicas"]
    newest = max(replicas, key=lambda each: each["as_of"] or 0)
    taker, other = (node1, node3) if newest["node"] == "node1" else (node3, node1)
    taker.zsr("guest", "recover", "100", "--force", "--yes")

    assert taker.run("/usr/local/bin/guest-100 status", check=False).returncode == 0
    numbers = guest.numbers(taker)
    assert numbers == list(range(1, len(numbers) + 1))
    sets = taker.out(f"zfs list -Ho name -t snapshot -s creation tank/data/{FS}").split()
    assert f"_{newest['as_of']}__" in sets[-2]
    taker.zsr("cluster", "push", "--yes", check=False)
    job = next(each for each in ("100-0", "100-1") if f'[jobs.{each}]\ntarget = "{other.name}"' in taker.read(FILES[1]))
    taker.zsr("adopt", job, "--yes")
    taker.zsr("run", "--id", job)
    assert ": full" not in taker.zsr("log", job).stdout

    back = "100-1" if job == "100-0" else "100-0"
    comes_back(guest, node2, kept, taker, back)
    status = json.loads(taker.zsr("status", "--format", "json").stdout)
    assert {each["id"]: each["error_class"] for each in status} == {"100-0": None, "100-1": None}


def comes_back(guest: Moving, node2: Node, kept: list[str], taker: Node, back: str) -> None:
    """The dead node boots with its old files, and becomes a target of the one that took the guest."""
    node2.start()
    put_back(node2, kept)
    last = guest.numbers(node2)[-1]
    taker.zsr("cluster", "push", "--yes")
    node2.zsr("guest", "release", "100")
    for _ in range(2):
        taker.run(f"echo more | dd of=/dev/zvol/tank/data/{A} conv=notrunc,sync status=none")
        taker.zsr("run", "--id", back)
    assert ": full" not in taker.zsr("log", back).stdout
    [aside] = [each for each in diverged(node2) if FS in each]
    node2.run(f"zfs set mountpoint=/mnt/look {aside} && zfs mount {aside}")
    assert int(node2.read("/mnt/look/numbers").split()[-1]) == last


def diverged(node: Node) -> list[str]:
    """What is kept aside on a node."""
    return [name for name in node.out("zfs list -Ho name -r tank/data").split() if "/zsr-diverged/" in name]
