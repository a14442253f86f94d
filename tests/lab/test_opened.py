"""``zsr restore-points open`` and ``close`` on a modern ZFS: yesterday's file is read, and nothing can write."""

from __future__ import annotations

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.two_nodes import TwoNodeCluster

pytestmark = pytest.mark.sampled(4)

NAME = "subvol-100-disk-0"


@pytest.fixture
def duo(lab: Lab, source: Node, target: Node) -> TwoNodeCluster:
    """A cluster of two nodes with a container's filesystem and a disk."""
    duo = TwoNodeCluster(lab, source, target)
    duo.filesystem(NAME, 1)
    duo.zvol("vm-100-disk-1", 8)
    duo.job("--keep", "1")
    return duo


def test_a_file_of_an_older_restore_point_is_read_while_runs_go_on_and_its_point_goes_when_it_is_closed(
    duo: TwoNodeCluster,
) -> None:
    duo.source.run(f"echo yesterday > /tank/data/{NAME}/file")
    duo.zsr("run", "--id", "100-0")
    [old] = duo.target.out(f"zfs list -Ho name -t snapshot {duo.target.path(NAME)}").split()
    said = duo.zsr("restore-points", "open", "100-0")
    [place] = [line.split()[0] for line in said.splitlines() if "/run/zsr/opened/" in line]

    duo.source.run(f"echo today > /tank/data/{NAME}/file")
    duo.zsr("run", "--id", "100-0")
    duo.zsr("run", "--id", "100-0")
    assert duo.target.out(f"cat {place}/file") == "yesterday"
    assert duo.target.run(f"touch {place}/file", check=False).returncode != 0
    asides = duo.target.path("zsr-diverged")
    assert duo.target.out(f"zfs get -Ho value readonly -r -t filesystem,volume {asides}").count("on") >= 2
    assert old in duo.target.out(f"zfs list -Ho name -t snapshot {duo.target.path(NAME)}")

    duo.zsr("restore-points", "close", "100-0")
    assert "opened" not in duo.target.out(f"zfs list -Ho name -r {duo.target.path()}")
    duo.source.run(f"echo tomorrow > /tank/data/{NAME}/file")
    duo.zsr("run", "--id", "100-0")
    assert old not in duo.target.out(f"zfs list -Ho name -t snapshot {duo.target.path(NAME)}")


def test_one_that_is_being_read_is_not_closed(duo: TwoNodeCluster) -> None:
    duo.zsr("run", "--id", "100-0")
    said = duo.zsr("restore-points", "open", "100-0", "--volume", f"tank:{NAME}")
    [place] = [line.split()[0] for line in said.splitlines() if "/run/zsr/opened/" in line]
    duo.target.run(f"cd {place} && (setsid sleep 600 >/dev/null 2>&1 < /dev/null &)")
    refused = duo.source.zsr("restore-points", "close", "100-0", check=False)
    assert refused.returncode == 1
    assert "opened" in duo.target.out(f"zfs list -Ho name -r {duo.target.path()}")
