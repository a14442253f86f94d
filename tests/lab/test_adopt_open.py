"""A dataset that is in use is not adopted: it would be made read-only under a running guest."""

from __future__ import annotations

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.losses import Holdings
from tests.lab.scenario import A

pytestmark = pytest.mark.sampled(1)


def test_a_zvol_on_which_a_guest_runs_is_adopted_only_when_it_was_stopped(lab: Lab, node1: Node, node2: Node) -> None:
    guest = Holdings(lab, node1, node2)
    guest.zvol(A, 8)
    disk = f"tank/data/{A}"
    node1.run(f"zfs snapshot {disk}@moved && zfs send {disk}@moved | ssh node2 zfs receive {disk}")
    guest.job()
    node2.run(f"udevadm settle; sleep 600 3<>/dev/zvol/{disk} >/dev/null 2>&1 & echo $! >/root/guest")
    said = node1.zsr("adopt", "100-0", "--yes", check=False)
    assert guest.value(node2, A, "readonly") == "off", said
    assert "is open there" in said.stdout + said.stderr

    node2.run("kill $(cat /root/guest)")
    guest.zsr("adopt", "100-0", "--yes")
    assert guest.value(node2, A, "readonly") == "on"
