"""A target that lies, prints without end, or loses an answer costs the source neither memory, disk nor snapshots."""

from __future__ import annotations

import re

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.losses import Holdings
from tests.lab.scenario import A
from tests.lab.two_nodes import on_two_nodes

pytestmark = pytest.mark.sampled(9)

ENDLESS = """\
#!/bin/sh
[ "$1" = list ] || exec /usr/sbin/zfs "$@"
head -c 60000000 /dev/zero | tr '\\0' x >&2
exit 1
"""


@pytest.fixture
def guest(lab: Lab, source: Node, target: Node) -> Holdings:
    """A cluster, a guest with a zvol of 4 MiB content, and a job that keeps ten restore points; run once."""
    guest = Holdings(lab, source, target).with_zvol()
    guest.well()
    return guest


@on_two_nodes
def test_what_a_target_prints_is_kept_within_bounds(guest: Holdings) -> None:
    guest.target.write("/usr/local/sbin/zfs", ENDLESS)
    guest.target.run("chmod +x /usr/local/sbin/zfs")
    guest.write(A, 1)
    done = guest.source.zsr("run", "--id", "100-0", check=False)
    assert done.returncode == 1, "killed for want of memory"
    assert len(done.stdout) + len(done.stderr) < 20_000
    kept = int(guest.source.out("du -sk /var/lib/zsr | cut -f1"))
    assert kept < 4000, f"{kept} KiB of state"
    guest.target.run("rm /usr/local/sbin/zfs")
    guest.well(within=2)


def test_a_time_far_ahead_on_the_target_does_not_name_the_sources_snapshots(guest: Holdings) -> None:
    guest.target.run(f"zfs snapshot {guest.target.path(A)}@__replicate_100-0_999999999999__")
    for _ in range(3):
        guest.write(A, 1)
        guest.source.zsr("run", "--id", "100-0", check=False)
    names = guest.snapshots(guest.source, A)
    assert [name for name in names if not re.fullmatch(r"__replicate_100-0_\d{10}__", name)] == []
    assert len(names) <= 2
    assert "__replicate_100-0_999999999999__" in guest.everything(guest.target)
