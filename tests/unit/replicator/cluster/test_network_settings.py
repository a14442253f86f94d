"""The replication network in the cluster file: of a node, or of all nodes."""

from __future__ import annotations

import tomllib

import pytest

from replicator.cluster.toml_schema import read_cluster
from replicator.models import Node


def node(of_node: str = "", defaults: str = "", address: str = "10.0.0.12") -> Node:
    """The node of a file without problems."""
    text = f'[nodes.beta]\naddress = "{address}"\n{of_node}\n[defaults]\n{defaults}\n'
    cluster, problems = read_cluster(tomllib.loads(text), "")
    assert problems == []
    return cluster.nodes["beta"]


ALL = 'replication_network = "10.1.0.0/24"'


def test_without_one_the_address_counts() -> None:
    assert node().replication_network is None


def test_the_default_counts_for_nodes_that_do_not_say_otherwise() -> None:
    assert node(defaults=ALL).replication_network == "10.1.0.0/24"
    assert node('replication_network = "10.2.0.0/24"', ALL).replication_network == "10.2.0.0/24"


def test_a_node_may_be_left_out() -> None:
    assert node('replication_network = "off"', ALL).replication_network is None


def test_this_machine_itself_needs_none() -> None:
    assert node(defaults=ALL, address="local").replication_network is None


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('[nodes.beta]\naddress = "b"\nreplication_network = "10.1.0.7/24"', "nodes.beta.replication_network"),
        ('[defaults]\nreplication_network = "eth1"', "defaults.replication_network"),
    ],
)
def test_a_wrong_one_is_named_once_with_what_is_allowed(text: str, key: str) -> None:
    _, (problem,) = read_cluster(tomllib.loads(text), "")
    assert (problem.key, "a network in CIDR notation" in problem.allowed) == (key, True)
