"""A node loses its power: the guest goes on from its replicas, and the old node makes place for it when it is back."""

from __future__ import annotations

import json

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.losses import Holdings
from tests.lab.node_files import kept_files, put_back, share_files
from tests.lab.scenario import FS, A

pytestmark = pytest.mark.sampled(9)


@pytest.fixture
def guest(lab: Lab, node1: Node, node2: Node) -> Holdings:
    """A zvol and a filesystem that were replicated, and the same cluster file on both nodes."""
    guest = Holdings(lab, node1, node2).replicated_once()
    share_files(node1, node2)
    return guest


def test_with_its_daemon_the_old_node_becomes_a_target_by_itself(guest: Holdings) -> None:
    old, new = guest.source, guest.target
    old.run(f"echo last >/tank/data/{FS}/last && sync && zpool sync")
    kept = kept_files(old)
    old.crash()
    new.zsr("guest", "recover", "100", "--force", "--yes")
    new.run(f"echo new >/tank/data/{FS}/new && zpool sync")
    old.start()
    put_back(old, kept)

    guest.source, guest.target = new, old
    guest.daemon()
    old.spawn(["zsr", "daemon"])
    guest.until(lambda: old.zsr("schedule-now", "100-0", check=False).returncode == 0, "the old node's daemon answers")

    def is_a_target() -> bool:
        return bool(guest.status()["last_sync"]) and guest.same_on_both()

    guest.until(is_a_target, "the guest is replicated to its old node", timeout=300)
    assert ": full" not in guest.log()
    assert len([name for name in guest.aside() if FS in name]) == 1


def test_a_guest_goes_on_after_a_power_cut_and_the_old_node_becomes_its_target(guest: Holdings) -> None:
    old, new = guest.source, guest.target
    promised = guest.checksums(new)
    guest.write(A, 1)
    old.run(f"echo last >/tank/data/{FS}/last && sync && zpool sync")
    kept = kept_files(old)

    alive = new.zsr("guest", "recover", "100", "--force", "--yes", check=False)
    assert "which answers node2: it is not dead" in alive.stderr
    old.crash()
    new.zsr("guest", "recover", "100", "--force", "--yes")

    assert [new.out(["zfs", "get", "-Ho", "value", "readonly,mounted", f"tank/data/{FS}"])] == ["off\nyes"]
    assert new.out(f"cat /tank/data/{FS}/last 2>/dev/null || echo none") == "none"
    guest.source, guest.target = new, old
    assert guest.checksums(new) == promised
    new.run(f"echo new >/tank/data/{FS}/new && dd if=/dev/urandom of=/dev/zvol/tank/data/{A} bs=1M count=1 status=none")

    old.start()
    put_back(old, kept)
    old.zsr("run", "--id", "100-0", check=False)
    assert json.loads(old.zsr("status", "--format", "json").stdout)[0]["error_class"] == "superseded"
    assert old.read(f"/tank/data/{FS}/last") == "last\n"

    new.zsr("cluster", "push", "--yes", "--force")
    old.zsr("guest", "release", "100")
    new.zsr("adopt", "100-0", "--yes")
    guest.well(within=2)

    assert guest.same_on_both()
    assert ": full" not in guest.log()
    aside = [name for name in guest.aside() if FS in name]
    old.run(f"zfs set mountpoint=/mnt/look {aside[0]} && zfs mount {aside[0]}")
    assert old.read("/mnt/look/last") == "last\n"
