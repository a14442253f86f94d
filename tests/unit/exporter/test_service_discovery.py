"""Prometheus' HTTP service discovery: every node is a target, by labels that are not in the way of zsr's own."""

from __future__ import annotations

import pytest

from exporter.addresses import Activated, Listen, UnixListen
from exporter.plugin import ExporterPlugin
from exporter.service_discovery import default_sd_target, is_sd_target, target_groups
from replicator.models import Node

NODES = (Node("beta", "10.0.0.2"), Node("alpha", "alpha.example.org"), Node("gamma", "fd00::3"), Node("here", "local"))


def targets(pattern: str) -> list[object]:
    return [
        target for group in target_groups(NODES, pattern, scheme="http", asked="::1") for target in group["targets"]
    ]


def test_each_node_is_a_target_by_name() -> None:
    assert targets("{address}:9847") == ["alpha.example.org:9847", "10.0.0.2:9847", "[fd00::3]:9847", "[::1]:9847"]


def test_a_node_that_runs_no_zsr_is_none() -> None:
    nodes = (Node("alpha", "a"), Node("beta", "b", zsr=False))
    groups = target_groups(nodes, "{address}:1", scheme="http", asked="x")
    assert [group["targets"] for group in groups] == [["a:1"]]


def test_a_pattern_may_lead_to_another_network() -> None:
    assert targets("{node}.mon.example.org:443")[0] == "alpha.mon.example.org:443"


def test_labels_name_the_node_and_the_scheme_and_leave_zsrs_own_label_node_alone() -> None:
    (group, *_) = target_groups(NODES, "{address}:1", scheme="https", asked="x")
    assert group["labels"] == {
        "__scheme__": "https",
        "__meta_zsr_node": "alpha",
        "__meta_zsr_address": "alpha.example.org",
    }


def test_the_port_is_that_on_which_this_node_listens() -> None:
    assert default_sd_target([UnixListen("/x"), Listen(None, 1234), Listen(None, 5)]) == "{address}:1234"
    assert default_sd_target([Activated()]) == "{address}:9847"


@pytest.mark.parametrize("text", ["{address}:9847", "{node}.example.org:1", "zsr-{node}:65535"])
def test_a_right_pattern_is_taken(text: str) -> None:
    assert is_sd_target(text)
    assert ExporterPlugin().check({"exporter": {"sd_target": text}}) == []


@pytest.mark.parametrize(
    "text", ["", "9847", "{address}", "{address}:0", "{host}:9847", "{node}:99999", "a:1", "{node}/x:1"]
)
def test_a_wrong_pattern_is_refused(text: str) -> None:
    (problem,) = ExporterPlugin().check({"exporter": {"sd_target": text}})
    assert problem.key == "exporter.sd_target"
    assert "{address}" in problem.allowed
