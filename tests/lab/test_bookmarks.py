"""``zfs.bookmarks = false``: the guest's own rollback works, as the hypervisor does it."""

from __future__ import annotations

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.scenario import A, Scenario

pytestmark = pytest.mark.sampled(9)


def test_without_bookmarks_a_rollback_without_r_works_and_replication_goes_on(
    lab: Lab, source: Node, target: Node
) -> None:
    scene = Scenario(lab, source, target)
    scene.zvol(A, 8)
    scene.job()
    scene.well()
    assert bookmarks(source), "the default makes them, where there is no /etc/pve"

    source.write("/etc/zsr/zsr.toml", source.read("/etc/zsr/zsr.toml") + "[zfs]\nbookmarks = false\n")
    source.run(f"zfs snapshot tank/data/{A}@before")
    for _ in range(2):
        scene.write(A, 1)
        scene.well()
    assert bookmarks(source) == []

    for snapshot in scene.ours(source, A):
        source.run(f"zfs destroy tank/data/{A}@{snapshot}")
    source.run(f"zfs rollback tank/data/{A}@before")
    scene.settle()
    scene.well()
    assert scene.same_on_both()


def bookmarks(node: Node) -> list[str]:
    """All bookmarks of the storage."""
    return node.out("zfs list -Ho name -t bookmark -r tank/data").split()
