"""What admins and other tools do on either side costs no copy: snapshots, clones, names, a second replication."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.losses import Holdings, remove_pvesrs_job
from tests.lab.scenario import FS, MIB, A

pytestmark = pytest.mark.sampled(9)

PVESR = "__replicate_100-0_1700000000__"
"""A snapshot that pvesr took for its own job of the same number."""


@pytest.fixture
def guest(lab: Lab, source: Node, target: Node) -> Holdings:
    """A cluster of two nodes, a guest with a zvol of 4 MiB content, and a job that keeps ten restore points."""
    return Holdings(lab, source, target).with_zvol()


@pytest.fixture
def proxmox(source: Node) -> Iterator[Node]:
    """The source, which is a node of Proxmox VE."""
    source.run("mkdir -p /etc/pve && touch /etc/pve/.version")
    yield source
    source.run("rm -rf /etc/pve")


def test_the_guests_own_rollback_works_on_proxmox_ve_which_does_it_without_r(proxmox: Node, guest: Holdings) -> None:
    proxmox.run(f"zfs snapshot tank/data/{A}@before")
    guest.grow(A, 2)
    for snapshot in guest.ours(proxmox, A):  # what Proxmox VE takes out of the way
        proxmox.run(f"zfs destroy tank/data/{A}@{snapshot}")
    proxmox.run(f"zfs rollback tank/data/{A}@before")
    guest.settle()
    guest.well()
    assert guest.same_on_both()


def test_the_base_of_a_second_replication_with_the_same_number_stays(guest: Holdings) -> None:
    guest.well()
    guest.source.run(f"zfs snapshot tank/data/{A}@{PVESR}")
    for _ in range(2):
        guest.write(A, 1)
        guest.well()
    assert PVESR in guest.snapshots(guest.source, A)


def test_a_replica_survives_the_removal_of_proxmox_ves_job_of_the_same_guest(
    lab: Lab, proxmox: Node, target: Node
) -> None:
    guest = Holdings(lab, proxmox, target)
    guest.filesystem(FS, 1)
    sent = f"tank/data/{FS}@{PVESR}"
    receive = f"{proxmox.reach(target)}zfs receive -u {target.path(FS)}"
    proxmox.run(f"zfs snapshot {sent} && zfs send {sent} | {receive}")
    proxmox.write("/etc/pve/replication.cfg", "local: 100-0\n\ttarget node2\n")
    create = "zsr create-local-job 100-{0} node2 && zsr adopt 100-{0} --yes && zsr run --id 100-{0}"
    proxmox.run(f"{create.format(0)} || {{ {create.format(1)}; }}", timeout=120)
    replica = guest.value(target, FS, "guid")
    remove_pvesrs_job(target, "100-0")
    assert replica in guest.guids(target)


class TestSnapshotsOnTheReplica:
    @pytest.mark.parametrize("act", ["zfs clone {0} pond/try", "zfs hold look {0}"], ids=["cloned", "held"])
    def test_that_are_in_use_do_not_stop_the_job_when_the_source_is_rolled_back(
        self, guest: Holdings, act: str
    ) -> None:
        guest.grow(A, 1)
        guest.source.run(f"zfs snapshot tank/data/{A}@before")
        before = guest.grow(A, 2)
        guest.target.run(act.format(f"{guest.target.path(A)}@{guest.ours(guest.target, A)[-1]}"))
        guest.roll_back(A, "before")
        for _ in range(2):
            guest.write(A, 1)
            assert guest.well() < 2 * MIB
        assert before <= guest.guids(guest.target)
        assert guest.same_on_both()


class TestReplicaThatAnAdminRenamed:
    """To keep it as it is, before an upgrade: ``zfs rename`` on the target. The marks go along."""

    KEPT = f"{A}-before-upgrade"

    def test_stays_when_the_guest_is_restored_from_elsewhere(self, guest: Holdings) -> None:
        before = guest.grow(A, 2)
        guest.target.run(f"zfs rename {guest.target.path(A)} {guest.target.path(self.KEPT)}")
        guest.destroy_on_source(A)
        guest.zvol(A, 8)
        for _ in range(2):
            guest.write(A, 1)
            guest.well()
        assert before <= guest.guids(guest.target)
        assert before <= guest.points(guest.target, self.KEPT)
        assert self.KEPT in guest.log() + guest.zsr("status", "--format", "json")

    def test_stays_when_it_was_started_there(self, guest: Holdings) -> None:
        guest.grow(A, 2)
        guest.target.run(f"zfs rename {guest.target.path(A)} {guest.target.path(self.KEPT)} && udevadm settle")
        guest.volumes[self.KEPT] = "zvol"
        guest.activate(self.KEPT)
        replica = guest.value(guest.target, self.KEPT, "guid")
        del guest.volumes[self.KEPT]
        guest.destroy_on_source(A)
        guest.zvol(A, 8)
        for _ in range(2):
            guest.write(A, 1)
            guest.source.zsr("run", "--id", "100-0", check=False)
        assert replica in guest.guids(guest.target)
        assert guest.target.out(f"head -c 6 /dev/zvol/{guest.target.path(self.KEPT)}") == "orders"

    def test_stays_when_the_guest_goes_on(self, guest: Holdings) -> None:
        guest.grow(A, 2)
        guest.target.run(f"zfs rename {guest.target.path(A)} {guest.target.path(self.KEPT)} && udevadm settle")
        replica = guest.value(guest.target, self.KEPT, "guid")
        content = guest.target.out(f"sha256sum </dev/zvol/{guest.target.path(self.KEPT)}")
        for _ in range(3):
            guest.write(A, 1)
            assert guest.well() < 3 * MIB
        assert guest.value(guest.target, self.KEPT, "guid") == replica
        assert guest.target.out(f"sha256sum </dev/zvol/{guest.target.path(self.KEPT)}") == content
        assert guest.same_on_both()
