"""``zsr cluster`` between two machines: the file arrives as it is, and an edit on the other node is not lost."""

from __future__ import annotations

import pytest

from tests.lab.scenario import Scenario
from tests.lab.two_nodes import on_two_nodes

pytestmark = [on_two_nodes, pytest.mark.sampled(9)]

FILE = "/etc/zsr/cluster.toml"


def test_a_push_brings_the_file_to_the_other_node_but_replaces_no_edit_there(bare: Scenario) -> None:
    here, there = bare.source, bare.target
    there.write(FILE, here.read(FILE))
    there.run(["chmod", "640", FILE])
    assert here.zsr("cluster", "diff").stdout == "node2: the same\n"
    here.zsr("cluster", "push", "--yes")

    bare.cluster('name = "web"', 'name = "shop"')
    assert here.zsr("cluster", "push", "--yes").stdout.endswith("node2: written\n")
    assert there.read(FILE) == here.read(FILE)
    assert there.out(["stat", "-c", "%a", FILE]) == "640"

    there.run(f"echo '# by hand' >>{FILE}")
    bare.cluster('name = "shop"', 'name = "web"')
    edited = there.read(FILE)
    refused = here.zsr("cluster", "push", "--yes", check=False)
    assert (refused.returncode, there.read(FILE)) == (1, edited)
    assert "node2: not written" in refused.stderr
