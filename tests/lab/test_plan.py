"""``zsr plan`` with a modern ZFS: it changes nothing, and the run after it does what it said."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.lab.lab import Node
from tests.lab.two_nodes import ZVOL, TwoNodeCluster

pytestmark = pytest.mark.sampled(9)


def everything(node: Node) -> list[str]:
    """Every dataset, snapshot and bookmark of a node with all its properties."""
    listed = node.out(f"zfs get -Hp -t all -r -o name,property,value,source all {node.pool}", timeout=120).splitlines()
    volatile = ("available", "used", "logicalused", "referenced")  # a pool writes in the background
    return [line for line in listed if not line.split("\t")[1].startswith(volatile)]


def names(node: Node) -> set[str]:
    """All datasets and snapshots of the guest's storage on a node."""
    return set(node.out(f"zfs list -Ho name -t all -r {node.path()}").splitlines())


def plan(duo: TwoNodeCluster) -> dict[str, Any]:
    """The plan, as JSON; it changed nothing on either node."""
    before = [everything(node) for node in (duo.source, duo.target)]
    found: dict[str, Any] = json.loads(duo.zsr("plan", "100-0", "--format", "json", check=False))
    changed = [set(one) ^ set(everything(node)) for one, node in zip(before, (duo.source, duo.target), strict=True)]
    assert changed == [set(), set()]
    return found


def gone_and_permitted(duo: TwoNodeCluster, planned: dict[str, Any]) -> tuple[set[str], set[str]]:
    """What a run destroyed on the nodes, and what the plan had permitted; each as ``node: name``."""
    nodes = {"node1": duo.source, "node2": duo.target}
    before = {f"{name}: {each}" for name, node in nodes.items() for each in names(node)}
    duo.zsr("run", "--id", "100-0")
    after = {f"{name}: {each}" for name, node in nodes.items() for each in names(node)}
    permitted = {f"{each['node']}: {each['what']}" for each in planned["destructions"] if each["permitted"]}
    return before - after, permitted


def test_a_plan_changes_nothing_and_the_run_does_what_it_said(duo: TwoNodeCluster) -> None:
    first = plan(duo)
    assert [volume["action"] for volume in first["volumes"]] == ["full", "full"]
    assert all(volume["bytes"] > 1 << 20 for volume in first["volumes"])
    assert gone_and_permitted(duo, first) == (set(), set())

    assert plan(duo)["unchanged"]
    duo.write(ZVOL, 4)
    duo.source.run(f"zfs snapshot tank/data/{ZVOL}@daily")
    duo.target.run("sleep 1")

    second = plan(duo)
    volumes = {volume["volume"].partition(":")[2]: volume for volume in second["volumes"]}
    assert volumes[ZVOL]["flags"] == ["-p", "-L", "-c", "-e", "-I"]
    assert volumes[ZVOL]["bytes"] == pytest.approx(4 << 20, rel=0.1)
    gone, permitted = gone_and_permitted(duo, second)
    assert gone == permitted != set()
    assert duo.same_on_both()


def test_a_transfer_that_was_cut_off_is_planned_to_be_resumed(duo: TwoNodeCluster) -> None:
    duo.write(ZVOL, 16)
    duo.zsr("update", "100-0", "--rate", "2")
    run = duo.source.spawn(["zsr", "run", "--id", "100-0"])
    duo.until(lambda: _token(duo) != "-", "a part of the zvol has arrived")
    run.kill()
    run.wait()
    duo.until(lambda: duo.target.out("pgrep -x zfs || true") == "", "the target noticed")
    duo.zsr("update", "100-0", "--delete", "rate")

    planned = plan(duo)
    [volume] = [each for each in planned["volumes"] if each["volume"].endswith(ZVOL)]
    duo.zsr("run", "--id", "100-0")

    assert planned["unchanged"] is False
    assert volume["resume"]["resumed"] is True
    assert volume["resume"]["snapshot"].startswith(f"tank/data/{ZVOL}@__replicate_100-0_")
    assert volume["base"] == "@" + volume["resume"]["snapshot"].partition("@")[2]
    assert f"resuming the interrupted transfer of {volume['resume']['snapshot']}" in duo.zsr("log", "100-0")


def _token(duo: TwoNodeCluster) -> str:
    return duo.target.out(f"zfs get -Ho value receive_resume_token {duo.target.path(ZVOL)} 2>/dev/null || echo -")
