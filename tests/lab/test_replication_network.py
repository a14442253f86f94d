"""The replication network: what a run sends goes over the second network of both nodes, and over no other."""

from __future__ import annotations

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.scenario import A, Scenario

pytestmark = pytest.mark.sampled(3)

NETWORK = "10.92.0.0/24"


@pytest.fixture
def scene(lab: Lab, node1: Node, node2: Node) -> Scenario:
    """Two nodes with a second network on the same cable, and a zvol that needs a large stream."""
    for node in (node1, node2):
        node.run(f"ip addr replace 10.92.0.{node.number}/24 dev vec0")
    scene = Scenario(lab, node1, node2)
    scene.zvol(A, 64)
    scene.job()
    scene.cluster("[storages.tank]", f'[defaults]\nreplication_network = "{NETWORK}"\n[storages.tank]')
    return scene


def received(node: Node, address: str) -> int:
    """How many bytes came to an address of a node since it was counted."""
    text = node.out(f"nft list table inet counted | grep -A1 {address} || true")
    return int(text.split("bytes ")[1].split()[0])


def count(node: Node) -> None:
    """Begin to count what comes to each address of a node on the port of SSH."""
    rules = "".join(
        f"add rule inet counted in ip daddr {address} tcp dport 22 counter\n" for address in (node.ip, "10.92.0.2")
    )
    node.run(
        "nft -f -",
        stdin="add table inet counted\nadd chain inet counted in { type filter hook input priority 0; }\n" + rules,
    )


def test_all_that_a_run_sends_goes_over_it(scene: Scenario) -> None:
    count(scene.target)
    try:
        scene.well()
        counted = {address: received(scene.target, address) for address in (scene.target.ip, "10.92.0.2")}
    finally:
        scene.target.run("nft delete table inet counted")

    assert scene.same_on_both()
    assert counted["10.92.0.2"] > 32 * 2**20
    assert counted[scene.target.ip] < 2**20


def test_a_node_that_has_no_address_in_it_is_named_and_nothing_is_sent(scene: Scenario) -> None:
    scene.target.run("ip addr del 10.92.0.2/24 dev vec0")

    failed = scene.source.zsr("run", "--id", "100-0", check=False)

    assert failed.returncode != 0
    assert f"Node node2 has no address in the replication network {NETWORK}" in failed.stderr + scene.log()
    assert scene.target.out("zfs list -Ho name -r tank/data") == "tank/data"
