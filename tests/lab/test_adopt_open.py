"""A dataset that is in use is not adopted: it would be made read-only under a running guest."""

from __future__ import annotations

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.losses import Holdings
from tests.lab.scenario import A

pytestmark = pytest.mark.sampled(1)


def test_a_zvol_on_which_a_guest_runs_is_adopted_only_when_it_was_stopped(lab: Lab, source: Node, target: Node) -> None:
    guest = Holdings(lab, source, target)
    guest.zvol(A, 8)
    disk, replica = source.path(A), target.path(A)
    receive = f"{source.reach(target)}zfs receive {replica}"
    source.run(f"zfs snapshot {disk}@moved && zfs send {disk}@moved | {receive}")
    guest.job()
    target.run(f"udevadm settle; sleep 600 3<>/dev/zvol/{replica} >/dev/null 2>&1 & echo $! >/root/guest")
    said = source.zsr("adopt", "100-0", "--yes", check=False)
    assert guest.value(target, A, "readonly") == "off", said
    assert "is open there" in said.stdout + said.stderr

    target.run("kill $(cat /root/guest)")
    guest.zsr("adopt", "100-0", "--yes")
    assert guest.value(target, A, "readonly") == "on"
